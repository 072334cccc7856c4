"""How each destination does: one finding that says what waits, what was given up, and the one thing
that is wrong.

A token that Meta calls valid and refuses for a pixel all the same is one fault, and told as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sinal_core.nats.depth import Depth
from sinal_core.postgres.errors import StoreError, StoreUnavailable
from sinal_crds import names
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.meta.tokens import TokenState
from sinal_hub.services.findings import Finding
from sinal_hub.status.measurements import trouble
from sinal_hub.store.tenant_status import DestinationDelivery, DestinationKey, TenantStatusStore

PATIENCE_S = 5.0
_ADVICE = {
    "credential": "put a token that Meta takes into the destination's Secret: what waits is sent "
    "then",
    "configuration": "correct the destination's pixel and API version",
}
_ELSE = (
    "it is tried again by itself and nothing is lost; `sinal events show` has what Meta answered"
)
_PIXEL = (
    "give the system user of the token this pixel in Meta's Business settings, or put the "
    "token of one that has it"
)
_TROUBLES = {
    "token": ("Meta refuses its token", _ADVICE["credential"]),
    "permission": ("Meta refuses its token for this pixel", _PIXEL),
    "setup": ("Meta does not know its pixel, or refuses its version", _ADVICE["configuration"]),
    "throttled": ("Meta wants fewer requests, for 15 minutes by "
"now", "lower rateLimit; it goes on by itself"),
    "rejected": ("more of its events are given up than Meta "
"takes", "`sinal dead-letters list` says why"),
    "stalled": ("nothing was sent for 15 minutes, though events "
"wait", "look at the dispatch role: is it running?"),
}  # fmt: skip

_UNREADABLE = Finding(
    area="destinations",
    subject="breakers",
    grade="warning",
    detail="this API's login may not read them",
    advice="give SINAL_API_DATABASE_URL a login that is in the role sinal_worker, or see the "
    "Destinations' conditions",
)
Pair = tuple[str, str]  # tenant, destination


async def look(
    store: TenantStatusStore,
    plans: Iterable[TenantPlan],
    depths: Iterable[Depth],
    asked: Mapping[Pair, TokenState | None],
) -> list[Finding]:
    """One finding a destination; nothing where PostgreSQL does not answer."""
    chosen = list(plans)
    try:
        async with asyncio.timeout(PATIENCE_S):
            rows = await store.deliveries(
                [
                    DestinationKey(plan.slug, one.name)
                    for plan in chosen
                    for one in plan.destinations
                ]
            )
    except (StoreUnavailable, TimeoutError):
        return []  # said of PostgreSQL already
    except StoreError:
        return [_UNREADABLE]
    known = {(row.tenant, row.destination): row for row in rows}
    waits = {(depth.tenant, depth.consumer): depth for depth in depths}
    now = datetime.now(UTC)
    return [
        judge(plan, one, known[plan.slug, one.name], waits.get((plan.slug, names.dispatch_consumer(one.name))),
              asked.get((plan.slug, one.name)), now)
        for plan in chosen for one in plan.destinations
        # said of the plan
        if (plan.slug, one.name) in known and not plan.rests(one) and not one.problem
    ]  # fmt: skip


def blames_token(finding: Finding) -> bool:
    """Whether what Meta says of the token is told in it already."""
    return finding.grade == "failed" and finding.advice in (_ADVICE["credential"], _PIXEL)


def judge(
    plan: TenantPlan,
    destination: DestinationPlan,
    row: DestinationDelivery,
    depth: Depth | None,
    token: TokenState | None,
    now: datetime,
) -> Finding:
    """What is wrong with it first: its breaker, else what Meta said last, else what was given
    up.
    """
    subject = f"{plan.slug}: {destination.name}"
    if row.open is not None:
        return _broken(subject, row, token, _figures(row, depth, now))
    found = trouble(row, depth, now=now)
    if found is not None:
        detail, advice = _TROUBLES[found]
        return _failed(subject, f"{detail}; {_figures(row, depth, now)}", advice)
    if row.recently_dead:
        advice = "`sinal dead-letters list` says why, `sinal dead-letters replay` sends them again"
        return _failed(
            subject,
            f"{row.recently_dead} given up within an hour; {_figures(row, depth, now)}",
            advice,
        )
    if row.dead_letters:
        advice = "`sinal dead-letters list` says why they were given up; replay them, or leave them"
        detail = _figures(row, depth, now)
        return Finding(
            area="destinations", subject=subject, grade="warning", detail=detail, advice=advice
        )
    return Finding(
        area="destinations", subject=subject, grade="ok", detail=_figures(row, depth, now)
    )


def _broken(
    subject: str, row: DestinationDelivery, token: TokenState | None, figures: str
) -> Finding:
    code = f", code {row.code}" if row.code is not None else ""
    detail = f"its breaker is {'open' if row.open else 'half open'}: {row.reason}{code}"
    advice = _ADVICE.get(row.reason or "", _ELSE)
    if row.reason == "credential" and token is not None:
        if token.valid:
            detail, advice = (
                f"{detail}; Meta calls the token valid and refuses it for this pixel",
                _PIXEL,
            )
        else:
            detail = f"{detail}; {token.problem or 'Meta calls the token not valid'}"
    return _failed(subject, f"{detail}; {figures}", advice)


def _failed(subject: str, detail: str, advice: str) -> Finding:
    return Finding(
        area="destinations", subject=subject, grade="failed", detail=detail, advice=advice
    )


def _figures(row: DestinationDelivery, depth: Depth | None, now: datetime) -> str:
    waiting = depth.messages if depth is not None else 0
    oldest = f", the oldest for {age(now - depth.oldest_at)}" if depth and depth.oldest_at else ""
    last = (
        f"last success {age(now - row.last_success)} ago" if row.last_success else "no success yet"
    )
    dead = f", {row.dead_letters} dead letters" if row.dead_letters else ""
    return f"{waiting} wait{oldest}, {last}{dead}"


def age(lapse: timedelta) -> str:
    """A time as people say it, by its largest unit."""
    seconds = max(0, int(lapse.total_seconds()))
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word}"
    return f"{seconds} s"
