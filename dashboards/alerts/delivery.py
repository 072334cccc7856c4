"""Alerts on what goes out: destinations that take nothing, events given up."""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group
from dashboards.promql import grown

_PERSON = "credential|no_token"
_TOLD = f"{_PERSON}|configuration|suspended"  # the first three elsewhere; the last is as declared
_WHERE = "{{ $labels.tenant }}, destination {{ $labels.destination }}"

GROUP = Group(
    "sinal-delivery",
    [
        Alert(
            name="SinalTokenInvalid",
            expr=f"max by (tenant, destination, reason) "
            f'(sinal_breaker_reason{{reason=~"{_PERSON}"}}) > 0',
            lasting="5m",
            severity="critical",
            summary=f"Meta refuses the token: {_WHERE}.",
            description=(
                "Its conversions wait and are sent once the token works. After seven days Meta "
                "takes them no more."
            ),
            board="sinal-delivery",
        ),
        Alert(
            name="SinalDestinationMisconfigured",
            expr='max by (tenant, destination) (sinal_breaker_reason{reason="configuration"}) > 0',
            lasting="5m",
            severity="critical",
            summary=f"Meta refuses the pixel, the API version or their linkage: {_WHERE}.",
            description=(
                "Its conversions wait until the Destination is put right. After seven days Meta "
                "takes them no more."
            ),
            board="sinal-delivery",
        ),
        Alert(
            name="SinalBreakerOpen",
            expr=f"max by (tenant, destination, reason) "
            f'(sinal_breaker_reason{{reason!~"{_TOLD}"}}) > 0',
            lasting="10m",
            severity="warning",
            summary=f"Meta fails or does not answer: {_WHERE}.",
            description="Events wait and are tried again, less and less often. Reason: {{ "
            "$labels.reason }}.",
            board="sinal-delivery",
        ),
        Alert(
            name="SinalDeadLettersGrow",
            expr=f"sum by (tenant, reason) ({grown('sinal_dead_letters_total', '', '30m')}) >= 10",
            severity="warning",
            summary=(
                "{{ $labels.tenant }}: {{ $value | humanize }} events given up in half an hour ({{ "
                "$labels.reason }})."
            ),
            description="They are kept and can be replayed once the cause is mended.",
            board="sinal-delivery",
        ),
    ],
)
