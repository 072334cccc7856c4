"""The edge as the state of the platform tells it: deliveries that were refused, and what waits on
its disks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sinal_core.http.problem import SUSPENDED
from sinal_core.postgres.errors import StoreError
from sinal_crds.plan import TenantPlan
from sinal_hub.services.destinations import age
from sinal_hub.services.findings import Finding, Grade
from sinal_hub.store.refusals import RefusalRow, RefusalStore, SpoolRow

PATIENCE_S = 5.0
IN_A_ROW = 3  # refused deliveries of an integration, and none taken since
LATELY = timedelta(hours=1)
SOON = timedelta(minutes=5)  # a disk is emptied within, once the broker answers


async def look(
    store: RefusalStore, plans: Iterable[TenantPlan], scope: str | None
) -> list[Finding]:
    """Integrations whose deliveries are refused, and disks that hold events.

    Nothing where PostgreSQL is away.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            rows = await store.listed(scope)
            # What waits on a disk is told of all tenants together: that is the platform's to know.
            spool = await store.spooled() if scope is None else None
    except (StoreError, TimeoutError):
        return []
    mine, now = {plan.slug for plan in plans}, datetime.now(UTC)
    told = [row for row in rows if row.tenant is None or row.tenant in mine]
    found = [finding for row in told if (finding := refused(row, now)) is not None]
    return found + ([_spooled(spool, now)] if spool is not None and spool.records else [])


def refused(row: RefusalRow, now: datetime) -> Finding | None:
    """Failed where an integration's deliveries are refused one after another.

    A warning where one was lately.
    """
    if row.reason == SUSPENDED:
        return None  # said of the plan, and no fault
    grade: Grade = "failed" if row.in_a_row and row.deliveries >= IN_A_ROW else "warning"
    if grade == "warning" and now - row.last_at > LATELY:
        return None
    subject = (
        f"{row.tenant}: {row.integration or row.gateway or 'no integration'}"
        if row.tenant
        else "URLs of nobody"
    )
    missing = f" ({row.missing})" if row.missing else ""
    return Finding(
        area="refusals",
        subject=subject,
        grade=grade,
        detail=f"{row.deliveries} refused, the last {age(now - row.last_at)} ago: "
        f"{row.reason}{missing}",
        advice="compare URL and secret in the gateway's panel with the integration's; GET "
        "/api/v1/refusals has more",
        refusal=row,
    )


def _spooled(spool: SpoolRow, now: datetime) -> Finding:
    waited = now - (spool.oldest_at or now)
    old = waited > SOON
    return Finding(
        area="spool",
        subject="ingest",
        grade="failed" if old else "warning",
        detail=f"{spool.records} events wait on the disk of {spool.processes} processes, the "
        f"oldest for {age(waited)}",
        advice="they are published once their tenants' lanes take them: look at lanes and at the "
        "broker"
        if old
        else "they are on their way: nothing is lost",
    )
