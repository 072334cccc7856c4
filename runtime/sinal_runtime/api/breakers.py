"""Destinations that take nothing now, and why: Meta may call a token valid and refuse it for a pixel all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sinal_crds.plan import TenantPlan
from sinal_runtime.api.findings import Finding
from sinal_runtime.store.errors import StoreError, StoreUnavailable
from sinal_runtime.store.facts import Delivery, FactStore, Lane

PATIENCE_S = 5.0
_ADVICE = {
    "credential": "put a token that Meta takes into the destination's Secret: what waits is sent then",
    "configuration": "correct the destination's pixel and API version",
}
_ELSE = "it is tried again by itself and nothing is lost; `sinal events show` has what Meta answered"

_UNREADABLE = Finding(
    area="destinations",
    subject="breakers",
    grade="warning",
    detail="this API's login may not read them",
    advice="give SINAL_API_DATABASE_URL a login that is in the role sinal_worker, or see the Destinations' conditions",
)


async def look(store: FactStore, plans: Iterable[TenantPlan]) -> list[Finding]:
    """A warning for each destination whose breaker is not closed; nothing where PostgreSQL does not answer."""
    lanes = [Lane(plan.slug, one.name) for plan in plans for one in plan.destinations]
    try:
        async with asyncio.timeout(PATIENCE_S):
            rows = await store.deliveries(lanes)
    except (StoreUnavailable, TimeoutError):
        return []  # said of PostgreSQL already
    except StoreError:
        return [_UNREADABLE]
    return [_warning(row) for row in rows if row.open is not None]


def _warning(row: Delivery) -> Finding:
    code = f", code {row.code}" if row.code is not None else ""
    return Finding(
        area="destinations",
        subject=f"{row.tenant}: {row.destination}",
        grade="warning",
        detail=f"its breaker is {'open' if row.open else 'half open'}: {row.reason}{code}",
        advice=_ADVICE.get(row.reason or "", _ELSE),
    )
