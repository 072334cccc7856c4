"""Alerts on what a tenant would want to know: silence, refused webhooks, fewer signals, a gateway
that changed.
"""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group
from dashboards.promql import grown

_OWN = 'tenant!="", tenant!="other"'  # `other` is many
_TAKEN = f'sinal_ingest_requests_total{{{_OWN}, status=~"2.."}}'
_HOOKS = f'sinal_ingest_requests_total{{{_OWN}, source="webhook"}}'
_REFUSED = f'sinal_ingest_requests_total{{{_OWN}, source="webhook", status=~"401|404"}}'
_STOPPED = f'sinal_ingest_requests_total{{{_OWN}, source="suspended"}}'
_COVERAGE = f"sinal_signal_coverage_ratio{{{_OWN}}}"


def _busy(ago: str) -> str:
    return f"sum by (tenant) (increase({_TAKEN}[1h] offset {ago})) > 20"


GROUP = Group(
    "sinal-tenants",
    [
        Alert(
            name="SinalTenantSilent",
            # In this hour of yesterday and of a week ago it sent; now nothing, though others can.
            expr=(
                f"({_busy('1d')})\nand ({_busy('7d')})\n"
                f"unless (sum by (tenant) (increase({_TAKEN}[1h])) > 0)\n"
                f"unless (sum by (tenant) (increase({_STOPPED}[1h])) > 0)\n"
                'and on () (count(sinal_build_info{role="ingest"}) > 0)'
            ),
            lasting="15m",
            severity="warning",
            summary="{{ $labels.tenant }} has sent nothing for an hour.",
            description=(
                "At this hour of yesterday and of a week ago it sent. Its page script or its "
                "webhooks may be gone."
            ),
            board="sinal-tenant",
        ),
        Alert(
            name="SinalWebhooksRefused",
            expr=(
                f"sum by (tenant) (increase({_REFUSED}[30m])) >= 10\n"
                f"and sum by (tenant) (increase({_REFUSED}[30m])) / sum by (tenant) "
                f"(increase({_HOOKS}[30m])) > 0.5"
            ),
            lasting="5m",
            severity="critical",
            summary="{{ $labels.tenant }}: most webhooks are refused, {{ $value | humanize }} in "
            "half an hour.",
            description=(
                "Signature or address does not fit. Gateways give up after some tries, and these "
                "sales are gone then."
            ),
            board="sinal-tenant",
        ),
        Alert(
            name="SinalSignalCoverageFalls",
            expr=(
                f"(max by (tenant, signal) ({_COVERAGE})\n"
                f"< 0.7 * max by (tenant, signal) (avg_over_time({_COVERAGE}[7d] offset 1d)))\n"
                f"and max by (tenant, signal) (avg_over_time({_COVERAGE}[7d] offset 1d)) > 0.2"
            ),
            lasting="1h",
            severity="warning",
            summary="{{ $labels.tenant }}: only {{ $value | humanizePercentage }} of sales carry "
            "{{ $labels.signal }}.",
            description=(
                "That is much less than in the week before: Meta finds fewer of the buyers. Pages "
                "or gateway changed."
            ),
            board="sinal-tenant",
        ),
        Alert(
            name="SinalGatewayDrift",
            expr=f"sum by (gateway, what) ({grown('sinal_gateway_drift_total', '', '1h')}) >= 10",
            severity="warning",
            summary="{{ $labels.gateway }}: {{ $labels.what }}, {{ $value | humanize }} times in "
            "an hour.",
            description=(
                "The gateway says something that its adapter does not know. What is not understood "
                "is in quarantine."
            ),
            board="sinal-operator",
        ),
    ],
)
