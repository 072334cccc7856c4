"""What `sinal up` prints once it is up: where everything is, and two commands that work as they
stand.

Lines fit into 80 columns; what would be longer, such as a webhook's URL, stands in the file to
source.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sinal_cli.local.environment import FILE, webhooks
from sinal_crds.plan import FunnelPlan, TenantPlan

Ready = Mapping[str, Any]
_VISIT = (
    'curl -s "$INGEST/t/$TENANT/api/v1/track/pageview" \\',
    '  -H "Authorization: Bearer $SERVER_KEY" \\',
    "  -H 'Content-Type: application/json' \\",
    '  -d \'{"funnel": "\'"$PUBLIC_KEY"\'", "url": "\'"$PAGE"\'",',
    '       "client": {"ip": "177.10.20.30", "user_agent": "curl"}}\'',
)


def lines(ready: Ready, plans: Sequence[TenantPlan], folder: Path) -> list[str]:
    """The whole of it."""
    shown = short(folder)
    told = [
        "Sinal is up. Ctrl-C stops everything; the data stays.",
        f"  data      {shown}",
        f"  ingest    {ready['ingest']}",
        f"  API       {ready['api']}/docs",
        f"  metrics   {ready['metrics']}/metrics",
    ]
    if "sandbox" in ready:
        told.append(f"  sandbox   {ready['sandbox']}/_sandbox/events")
    else:
        told.append(f"  Meta      {ready['graph']}")
    if ready["public"] != ready["ingest"]:
        told.append(f"  public    {ready['public']}")
    told.append(f"  API key   {ready['admin_key']}")
    told += _tenants(ready)
    chosen = first_try(plans, ready)
    if not chosen:
        return [
            *told,
            "",
            "No tenant has a funnel: start with --file examples, or with your manifests.",
        ]
    told += [
        "",
        "Try a visit, in another terminal:",
        "",
        f"  . {shown}/{FILE}",
        *(f"  {line}" for line in _VISIT),
    ]
    return [*told, "", "What became of it:", "", "  sinal events list --limit 1"]


def first_try(plans: Sequence[TenantPlan], ready: Ready) -> dict[str, str]:
    """Variables of the visit to try: a funnel that sends to a destination and sells, and a page
    that it admits.
    """
    found = [(plan, funnel) for plan in plans for funnel in plan.funnels]
    if not found:
        return {}
    plan, funnel = min(found, key=lambda one: _rank(*one))
    keys = ready["tenants"][plan.slug]["funnels"][funnel.name]
    return {
        "TENANT": plan.slug,
        "PUBLIC_KEY": keys["public_key"],
        "SERVER_KEY": keys["server_key"],
        "PAGE": f"https://{_host(funnel)}/?fbclid=IwAR0first",
    }


def _rank(plan: TenantPlan, funnel: FunnelPlan) -> tuple[bool, ...]:
    """Smaller is better for a first try."""
    sells = any(one.funnel == funnel.name for one in plan.integrations)
    named = any("*" not in host for host in funnel.landing_hosts)
    return plan.suspended, not funnel.destinations, not sells, not named, funnel.type != "Perpetual"


def _host(funnel: FunnelPlan) -> str:
    """A host that the funnel admits; a server key may name any where there is none."""
    named = next((host for host in funnel.landing_hosts if "*" not in host), None)
    if named is not None:
        return named
    return next(
        (host.replace("*", "www") for host in funnel.landing_hosts), f"{funnel.name}.example"
    )


def _tenants(ready: Ready) -> list[str]:
    names = {url: name for name, url in webhooks(ready).items() if name != "WEBHOOK_URL"}
    told: list[str] = []
    for slug, tenant in ready["tenants"].items():
        told += ["", slug]
        told += [f"  funnel    {name}" for name in tenant["funnels"]]
        told += [
            f"  webhook   {name:<18} ${names[hook['url']]}"
            for name, hook in tenant["webhooks"].items()
        ]
    return told


def short(folder: Path) -> str:
    """The folder as one would type it from here, always with a slash before `env`, as `.`
    wants it.
    """
    here = os.path.relpath(folder)
    return here if not here.startswith("..") else str(folder)
