"""Which rows may be sent again, and the stable word for why another may not.

Pure: one place decides.

Meta promises to absorb a browser's and a server's event of one id for 48 hours, and promises
nothing about two server events. So what was delivered goes out again only for somebody who says so,
and after 48 hours says it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from sinal_crds.plan import TenantPlan
from sinal_hub.meta.validation import AGE_MARGIN_S, MAX_AGE_S
from sinal_hub.store.replaying import LetterRow, ReplayWork, SentRow, UnsentRow

DUPLICATE_AFTER = timedelta(hours=48)
SAMPLE = 20

# Matching may decide otherwise about these once the plan, the consent default or the evidence has
# changed.
JUDGED_AGAIN = frozenset(
    {"no_consent", "policy", "suspended", "no_destination", "unidentifiable", "unmatched"}
)

Action = Literal["send", "judge", "hand_back", "skip"]

WHY: dict[str, str] = {
    "in_flight": "it is on its way already",
    "delivered": "force sends it again all the same",
    "delivered_long_ago": "it was delivered more than 48 hours ago. Meta forgets ids after that, "
    "even of pairs: "
    "a second one will probably count twice. If that is meant, send force and confirm_duplicate",
    "too_old": "it happened more than 7 days ago and Meta refuses the whole request for one such "
    "event",
    "no_destination": "its destination or tenant is not in the plan any more",
    "review": "a person has to decide about its match first: use the review queue",
    "final": "it was withheld for a reason that a replay cannot change (a test, a duplicate, a "
    "notice, a late status)",
    "unreadable": "its message could not be read as an event, and cannot be now",
}


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """What the caller has said about deliveries that were made."""

    force: bool = False
    confirm_duplicate: bool = False


class Sample(msgspec.Struct, kw_only=True, frozen=True):
    """What would become of one delivery or event; `reason` says why it is skipped."""

    tenant: str
    event: str | None
    destination: str | None
    action: Action
    reason: str | None = None


class Judged(msgspec.Struct, kw_only=True, frozen=True):
    """A selection with its verdicts."""

    work: ReplayWork
    samples: list[Sample]

    @property
    def replayed(self) -> int:
        """How many would go out again or be judged again."""
        return sum(one.action != "skip" for one in self.samples)

    @property
    def skipped(self) -> dict[str, int]:
        """How many would not, by reason."""
        found: dict[str, int] = {}
        for one in self.samples:
            if one.action == "skip" and one.reason is not None:
                found[one.reason] = found.get(one.reason, 0) + 1
        return found


def judge(
    rows: Iterable[SentRow],
    unsent: Iterable[UnsentRow],
    letters: Iterable[LetterRow],
    *,
    options: Options,
    tenants: Mapping[str, TenantPlan],
    now: datetime,
) -> Judged:
    """What may be done with each of them."""
    work = ReplayWork(rows=[], events=[], letters=[])
    samples: list[Sample] = []
    for row in rows:
        reason = sent_reason(row, options=options, tenants=tenants, now=now)
        if reason is None:
            work.rows.append(row)
        samples.append(_sample(row.tenant, row.event, row.destination, "send", reason))
    for event in unsent:
        action, reason = unsent_action(event)
        if action == "judge":
            work.events.append(event)
        elif action == "hand_back" and event.letter is not None:
            work.letters.append(event.letter)
        samples.append(_sample(event.tenant, event.event, None, action, reason))
    for letter in letters:
        # Of dispatch only letters without a row come here: their message named none, so none can be
        # sent.
        readable = letter.event is not None and letter.has_body and letter.stage == "match"
        if readable:
            work.letters.append(letter.letter)
        samples.append(
            _sample(
                letter.tenant,
                letter.event,
                letter.destination,
                "hand_back",
                None if readable else "unreadable",
            )
        )
    return Judged(work=work, samples=samples)


def sent_reason(
    row: SentRow, *, options: Options, tenants: Mapping[str, TenantPlan], now: datetime
) -> str | None:
    """Why a row of the outbox may not be sent again; None when it may."""
    if row.status in ("pending", "sending"):
        return "in_flight"
    plan = tenants.get(row.tenant)
    if plan is None or plan.destination(row.destination) is None:
        return "no_destination"
    if now.timestamp() - row.event_time > MAX_AGE_S - AGE_MARGIN_S:
        return "too_old"
    if row.status != "delivered":
        return None
    if not options.force:
        return "delivered"
    # Without a time it counts as long ago, for that asks the caller once more.
    long_ago = row.settled_at is None or now - row.settled_at > DUPLICATE_AFTER
    return "delivered_long_ago" if long_ago and not options.confirm_duplicate else None


def unsent_action(event: UnsentRow) -> tuple[Action, str | None]:
    """What may be done with an event that never came to the outbox."""
    if event.outcome == "dead":
        return ("hand_back", None) if event.letter is not None else ("skip", "unreadable")
    if event.outcome == "waiting":
        return "skip", "in_flight"
    if event.reason in JUDGED_AGAIN:
        return "judge", None
    return "skip", "review" if event.reason == "review" else "final"


def _sample(
    tenant: str, event: str | None, destination: str | None, action: Action, reason: str | None
) -> Sample:
    return Sample(
        tenant=tenant,
        event=event,
        destination=destination,
        action="skip" if reason else action,
        reason=reason,
    )
