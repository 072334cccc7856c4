"""What decides whether and how a destination of Meta is asked, for the outbox's `Recovery`."""

from __future__ import annotations

from collections.abc import Callable

from sinal_core.outbox.ports import Bus, Key
from sinal_core.outbox.recovery import DueRows, Recovery, Subjects
from sinal_core.plans.ports import Snapshot
from sinal_crds.names import RECOVERED_SUBJECT, STOPPED_SUBJECT
from sinal_crds.plan import DestinationPlan, TenantPlan


def recovery(
    ledger: DueRows,
    bus: Bus,
    *,
    wake: Callable[[str, str], None],
    try_now: Callable[[str, str], None],
) -> Recovery:
    """That of one dispatcher, which listens to the others."""
    subjects = Subjects(recovered=RECOVERED_SUBJECT, stopped=STOPPED_SUBJECT)
    return Recovery(ledger, bus, subjects, wake=wake, try_now=try_now)


def terms(snapshot: Snapshot) -> dict[Key, object]:
    """All destinations of all plans."""
    return {
        (tenant.slug, destination.name): _terms(tenant, destination)
        for tenant in snapshot.tenants.values()
        for destination in tenant.destinations
    }


def _terms(tenant: TenantPlan, destination: DestinationPlan) -> object:
    return (
        # Also what stops a destination without any request, such as a suspension: its end must wake
        # what waits as a new token does.
        tenant.rests(destination),
        destination.problem,
        destination.pixel_id,
        destination.api_version,
        destination.access_token,
        destination.rate_limit,
    )
