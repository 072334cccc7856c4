"""The review queue: sales whose match is likely and not sure, held until a person says whose they
are.

A word counts for the order: everything of it that was held is decided with it. Saying the same
again changes nothing; saying the opposite later is refused, because what was sent cannot be taken
back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from sinal_core.nats.client import Publisher
from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.matching import outbox
from sinal_hub.matching.batch import Batch
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Conflict
from sinal_hub.services.ports import Events, Plans
from sinal_hub.services.replays import no_event, utc_now
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.matching_rows import Outbox
from sinal_hub.store.reading import EventDetail, EventFilter, MatchDetail, Page
from sinal_hub.store.reviewing import HeldSale, ReviewStore, ReviewTransaction

Word = Literal["accept", "reject", "drop"]
RULES: dict[Word, str] = {
    "accept": "review_accepted",
    "reject": "review_rejected",
    "drop": "review_dropped",
}


class NotInReview(Conflict):
    """There is nothing to decide, or it was decided otherwise; the message says which."""


class Reviewed(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a person's word; `changed` is false when it had been said before."""

    word: Word
    changed: bool
    event: EventDetail


class Reviewer:
    """Raises StoreUnavailable, StoreRejected."""

    def __init__(
        self,
        store: ReviewStore,
        matching: MatchStore,
        events: Events,
        bus: Publisher,
        plans: Plans,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store, self._matching, self._events = store, matching, events
        self._bus, self._plans, self._clock = bus, plans, clock

    async def queue(
        self,
        caller: Caller,
        tenant: str | None,
        *,
        funnel: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Sales that wait for a person, newest first; raises InvalidCursor."""
        waiting = EventFilter(
            tenant=caller.scope(tenant),
            funnel=funnel,
            decision="review",
            outcome="withheld",
            reason="review",
        )
        return await self._events.list_events(waiting, cursor=cursor, limit=limit)

    async def say(self, caller: Caller, event_id: str, word: Word) -> Reviewed:
        """Decide about an event's match; raises NotFound, NotInReview."""
        held = await self._store.find(caller.tenant, event_id)
        if held is None:
            raise no_event(event_id)
        # The transaction is over when rows are published: dispatch must find them.
        changed, rows = await self._decide(caller, held, word)
        await outbox.publish(self._bus, self._matching, rows)
        event = await self._events.get_event(held.tenant, event_id)
        if event is None:
            raise no_event(event_id)
        return Reviewed(word=word, changed=changed, event=event)

    async def _decide(
        self, caller: Caller, held: HeldSale, word: Word
    ) -> tuple[bool, list[Outbox]]:
        plan = self._plans.snapshot.tenants.get(held.tenant)
        if plan is None:
            raise NotInReview(f"tenant {held.tenant!r} is not in the plans any more")
        async with self._store.transaction(held) as review:
            match = await review.match()
            if match is not None and match.rule == RULES[word]:
                return False, []
            match = _in_question(match)
            await review.decide(
                _decided(match, word), caller.entry(f"review.{word}", held.id, tenant=held.tenant)
            )
            return True, await self._apply(review, held, word, plan)

    async def _apply(
        self, review: ReviewTransaction, held: HeldSale, word: Word, plan: TenantPlan
    ) -> list[Outbox]:
        if word == "drop":
            await review.drop()
            return []
        if word == "reject":
            plan = _sending_unmatched(plan, held.funnel)
        result = await Batch(plan, review.matching, now=self._clock()).run_again(held.conversion_id)
        return result.outbox


def _in_question(match: MatchDetail | None) -> MatchDetail:
    if match is not None and match.rule in RULES.values():
        raise NotInReview(
            f"somebody has said otherwise already ({match.rule}); what was sent "
            "cannot be taken back"
        )
    if match is None or match.decision != "review":
        raise NotInReview("its match is not in review; the event's detail says what it is")
    return match


def _decided(match: MatchDetail, word: Word) -> MatchDetail:
    """The explanation keeps the score and the signals that a person has judged."""
    accepted = word == "accept"
    return msgspec.structs.replace(
        match,
        decision="match" if accepted else "unmatched",
        rule=RULES[word],
        click_id=match.click_id if accepted else None,
    )


def _sending_unmatched(plan: TenantPlan, funnel: str) -> TenantPlan:
    """The plan, but for what it does with unmatched sales: a person wants this one sent."""

    def sending(one: FunnelPlan) -> FunnelPlan:
        if one.name != funnel:
            return one
        return msgspec.structs.replace(
            one, matching=msgspec.structs.replace(one.matching, unmatched="Send")
        )

    return msgspec.structs.replace(plan, funnels=tuple(map(sending, plan.funnels)))
