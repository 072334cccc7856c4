"""One transaction of matching: a batch of a tenant's events, or a look at its orders that are due.

Invariants: an event's side effects happen once, whoever delivers it how often; the outbox is filled
in the transaction that decides; an order is only read and written under its lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.matching import decision as rules
from sinal_hub.matching import names, visitors
from sinal_hub.matching.orders import Draft, Order, merged, new_order, order_key, renamed_order
from sinal_hub.matching.outbox_rows import OutboxEntry, meta_id, pack
from sinal_hub.matching.suppression import SuppressionList, blank_row
from sinal_hub.meta.payload import Unidentifiable
from sinal_hub.model.event_versions import encode_event
from sinal_hub.model.events import TRACKING_KINDS, Event
from sinal_hub.model.signals import OWN
from sinal_hub.model.times import moment
from sinal_hub.store.matching import MatchTransaction
from sinal_hub.store.matching_rows import (
    CapiRow,
    Delivered,
    EventRow,
    KeyClaim,
    OpenKey,
    Outbox,
    Outcome,
    OutcomeRow,
)

# How long a sender's own key stands against a repeat: gateways play old sales again, browsers do
# not.
SALE_KEY = timedelta(days=400)
VISIT_KEY = timedelta(days=8)
_OUTCOMES: dict[rules.Action, Outcome] = {"send": "sent", "wait": "waiting", "withhold": "withheld"}


class BatchResult(msgspec.Struct, frozen=True):
    """What a batch left: rows to publish, decisions (rule, decision) to count, events handled for
    the first time.
    """

    outbox: list[Outbox]
    decisions: list[tuple[str, str]]
    fresh: list[Event]
    orders: int = 0  # looked at because they were due


class Batch:
    """The work of one transaction; use once."""

    def __init__(self, plan: TenantPlan, transaction: MatchTransaction, *, now: datetime) -> None:
        self._plan = plan
        self._funnels = {funnel.name: funnel for funnel in plan.funnels}
        self._tx = transaction
        self._now = now
        # e-mails and phones of sales that may prove whose they are
        self._taught: list[OpenKey] = []
        self._doubled: dict[str, int] = {}  # events that came more than once in this very batch

    async def run(self, events: list[Event]) -> BatchResult:
        """Handle delivered events.

        Those that were handled before only get their unpublished rows published.
        """
        # A heartbeat leaves its time in `heartbeats` and gets no row in `events`: there it would be
        # counted as an accepted event.
        await self._tx.heard([event.id for event in events if event.kind == "heartbeat"])
        events = [event for event in events if event.kind != "heartbeat"]
        fresh = await self._fresh(events)
        # Erased events are left out first, so that they teach no names. Names come before drafts,
        # because an order's id decides its state, its match and its claims.
        kept = await names.learned(self._tx, await self._obey(fresh))
        # A crawler's visit gets its row and teaches nothing: no sale may be matched with it.
        seen = [event for event in kept if event.kind in TRACKING_KINDS and not event.crawler]
        drafts = [self._draft(event) for event in kept]
        # Visits are stored before orders look for them: a click and its sale may share a batch.
        late = await self._learn(seen, drafts)
        orders = await self._orders(drafts, late)
        outbox, decisions = await self._settle(orders, drafts)
        # After the outbox is filled, so that rows of this very batch are withheld too. Their
        # messages find nothing to send.
        await self._tx.withdraw_clicks(
            [visitors.click_key(event) for event in seen if event.consent_ads is False]
        )
        # A known event may be here again because its worker died between commit and publish. Its
        # rows count as published, and the broker may have none of them.
        known = {event.id for event in events} - {event.id for event in fresh}
        outbox += await self._tx.unpublished_of(sorted(known))
        return BatchResult(outbox, decisions, fresh)

    async def run_due(self, limit: int) -> BatchResult:
        """Look again at orders whose wait is over or that may have missed a click."""
        rows = await self._tx.lock_due_orders(self._now, limit)
        known = await self._tx.matches_of([row.id for row in rows])
        orders = [Order.of(row, known.get(row.id)) for row in rows]
        outbox, decisions = await self._settle(orders, [])
        return BatchResult(outbox, decisions, [], len(rows))

    async def run_again(self, order: int) -> BatchResult:
        """Look again at one order, whose decision a person has just changed."""
        rows = await self._tx.lock_orders([order])
        known = await self._tx.matches_of([order])
        outbox, decisions = await self._settle(
            [Order.of(row, known.get(row.id)) for row in rows], []
        )
        return BatchResult(outbox, decisions, [])

    async def _fresh(self, events: list[Event]) -> list[Event]:
        times = Counter(event.id for event in events)
        # Reversed, so that of deliveries with one id the first one stays.
        first = {event.id: event for event in reversed(events)}
        new = await self._tx.new_events(
            [
                Delivered(
                    id=event.id,
                    received_at=moment(event.received_at),
                    natural=event.natural_key,
                    expires_at=self._now + (SALE_KEY if event.kind == "sale" else VISIT_KEY),
                )
                for _, event in sorted(first.items())
            ]
        )
        await self._tx.count_repeats(
            {key: n for key, n in times.items() if key not in new}, before=True
        )
        # These are counted after `insert_events`: their rows are not there yet.
        self._doubled = {key: n - 1 for key, n in times.items() if key in new and n > 1}
        return [first[key] for key in times if key in new]

    async def _obey(self, fresh: list[Event]) -> list[Event]:
        """What may be worked on, as its people allow it.

        Of the rest only the fact that it came is recorded.
        """
        # Keys of marks are digests over every trait of every event: none is made for a tenant of
        # whom nothing was ever asked.
        if not fresh or not await self._tx.is_marked():
            return fresh
        marks = SuppressionList(fresh)
        marks.take(await self._tx.marks(marks.keys))
        erased = {event.id for event in fresh if marks.erased(event)}
        await self._tx.insert_events(
            [blank_row(event) for event in fresh if event.id in erased], erased=True
        )
        return [marks.obeyed(event) for event in fresh if event.id not in erased]

    def _draft(self, event: Event) -> Draft:
        funnel = self._funnels.get(event.funnel)
        if event.sale is None:
            return Draft(event, rules.visit_rules(self._plan, funnel, event), funnel)
        integration = next(
            (i for i in self._plan.integrations if i.name == event.integration), None
        )
        aside = rules.set_aside(event.sale, funnel, integration)
        if aside is not None or funnel is None:
            return Draft(event, aside or rules.withhold("policy"))
        verdict = rules.sale_rules(self._plan, funnel, event)
        return Draft(event, verdict, funnel, follows=rules.follows(event.sale, integration))

    async def _learn(self, seen: list[Event], drafts: list[Draft]) -> list[int]:
        """Store what visitors showed.

        Returns the orders that they, or what sales may teach of them, could change.
        """
        await self._tx.learn_clicks(visitors.click_rows(seen))
        await self._tx.learn_sessions(visitors.session_rows(seen))
        await self._tx.learn_identities(visitors.identities_of(seen))
        self._taught = visitors.taught_keys(
            [draft.event for draft in drafts if draft.event.sale is not None]
        )
        return await self._tx.reopenable([*visitors.visit_keys(seen), *self._taught])

    async def _orders(self, drafts: list[Draft], late: list[int]) -> list[Order]:
        """Lock the orders of this batch's sales and those that late clicks open again.

        Sales are taken in sequence.
        """
        sales = [
            draft for draft in drafts if draft.event.sale is not None and draft.funnel is not None
        ]
        # The first sale of an order opens its row: reversed, so that it stays.
        wanted = {
            order_key(draft.event): new_order(draft.event)
            for draft in reversed(sales)
            if not draft.follows
        }
        misnamed = await self._tx.misnamed_orders(names.aliases(draft.event for draft in drafts))
        # An order that stands under another name gets a row under its own id. Where a sale of this
        # batch opens that row, the sale goes before: it tells more.
        wanted = {(one.gateway, one.target): renamed_order(one) for one in misnamed} | wanted
        ids = await self._tx.order_ids([wanted[key] for key in sorted(wanted)])
        followed = {order_key(draft.event) for draft in sales if draft.follows} - wanted.keys()
        followed |= {(one.gateway, one.order_key) for one in misnamed}
        ids += await self._tx.known_orders(sorted(followed))
        # One statement locks the orders of sales and those that late clicks open, by ascending id:
        # with two statements, two batches could each hold what the other wants.
        rows = await self._tx.lock_orders(sorted({*ids, *late}))
        merges = merged({(row.gateway, row.order_key): row.id for row in rows}, misnamed)
        await self._tx.merge_orders(merges)
        known = await self._tx.matches_of([row.id for row in rows])
        orders = {(row.gateway, row.order_key): Order.of(row, known.get(row.id)) for row in rows}
        for merge in merges:
            orders[merge.gateway, merge.order_key].absorb(orders.pop((merge.gateway, merge.name)))
        # What these sales prove is stored at the end of the batch, when candidates were looked for
        # already: other orders of the same people get a second look.
        taught = {told.key for told in self._taught}
        for other in orders.values() if taught else ():
            other.taught = other.subject is not None and not taught.isdisjoint(
                visitors.subject_keys(other.subject)
            )
        for draft in sales:
            order = orders.get(order_key(draft.event))
            # Two integrations of one gateway may hear of the same order. A sale without products
            # counts for the integration that has the order, and for no other.
            if order is None or (
                draft.follows and order.row.integration != draft.event.integration
            ):
                draft.verdict, draft.funnel = rules.withhold("policy"), None
            else:
                self._take(order, draft)
        return list(orders.values())

    def _take(self, order: Order, draft: Draft) -> None:
        """One sale of an order; what its order makes of it is judged as what it is."""
        told = draft.status
        order.take(draft)
        if (
            draft.status != told
            and draft.funnel is not None
            and draft.verdict.reason != "out_of_order"
        ):
            draft.verdict = rules.sale_rules(self._plan, draft.funnel, draft.event)

    async def _settle(
        self, orders: list[Order], drafts: list[Draft]
    ) -> tuple[list[Outbox], list[tuple[str, str]]]:
        """Match the orders, decide every event, claim and fill the outbox, write everything
        back.
        """
        placed = [(order, self._funnels.get(order.row.funnel)) for order in orders]
        await self._look(placed)
        await self._reopen(placed)
        for order, funnel in placed:
            if funnel is not None:
                self._judge(order, funnel)
        stored = [draft for order in orders for draft in order.drafts if draft.stored]
        # Earlier sales go first: of two that may be the order's Purchase, the first one claims it.
        outbox = await self._send([*stored, *drafts])
        await self._tx.save_orders(
            [
                order.saved(self._now, funnel.matching.wait_for_click_s if funnel else 0)
                for order, funnel in placed
                if order.subject is not None
            ]
        )
        await self._tx.open_orders(
            [key for order in orders if order.fresh or order.match for key in order.open_keys()]
        )
        await self._tx.close_orders(
            [order.row.id for order in orders if order.known is not None and order.settled]
        )
        await self._tx.save_matches([order.match for order in orders if order.match])
        await self._tx.learn_identities(visitors.identity_rows(list(_proven(orders))), proven=True)
        # Rows come late, because outcome and order are known only now. A worker that has one of
        # these events too is noticed here at the latest, and the batch is given back as a whole.
        await self._tx.insert_events([_event_row(draft) for draft in drafts])
        await self._tx.count_repeats(self._doubled)
        await self._tx.update_outcomes([_outcome_row(draft) for draft in stored])
        return outbox, [(order.match.rule, order.match.decision) for order in orders if order.match]

    async def _look(self, placed: list[tuple[Order, FunnelPlan | None]]) -> None:
        wanted = {
            order.row.id: order.question(funnel.matching)
            for order, funnel in placed
            if order.subject is not None and funnel is not None
        }
        found = await self._tx.candidates(wanted)
        for order, funnel in placed:
            if funnel is not None:
                order.look(funnel, found.get(order.row.id, []))

    async def _reopen(self, placed: list[tuple[Order, FunnelPlan | None]]) -> None:
        """Earlier sales of these orders that wait, or were withheld for want of a click, are judged
        again.
        """
        by_id = {
            order.row.id: (order, funnel) for order, funnel in placed if order.known is not None
        }
        for found in await self._tx.open_events(sorted(by_id)):
            order, funnel = by_id[found.conversion_id]
            hold = order.row.hold_until
            verdict = (
                rules.sale_rules(self._plan, funnel, found.event)
                if funnel
                else rules.withhold("policy")
            )
            draft = Draft(
                found.event,
                # The buyer has the money again: a late click must not send the sale now.
                rules.withhold("out_of_order") if order.state.given_back else verdict,
                funnel,
                found.conversion_id,
                stored=True,
                # What waits goes on waiting until its time; what was withheld does not begin to
                # wait again.
                may_wait=found.waiting and hold is not None and hold > self._now,
                namesake=order.row.namesake,
            )
            # Stored sales stand before those of this batch, in the sequence they came in: `_send`
            # lets the first of them claim.
            order.drafts.insert(sum(1 for other in order.drafts if other.stored), draft)

    def _judge(self, order: Order, funnel: FunnelPlan) -> None:
        plan = funnel.matching
        click = order.click if rules.uses_click(order.decision, plan) else None
        for draft in order.drafts:
            if draft.verdict.action == "withhold":
                continue
            said, click_said = draft.event.consent_ads, click.consent_ads if click else None
            verdict = rules.match_rules(
                draft.verdict, order.decision, plan, may_wait=draft.may_wait
            )
            if verdict.action == "send":
                verdict = rules.consent_rules(funnel, verdict, said, click_said)
            draft.verdict, draft.click = verdict, click

    async def _send(self, drafts: list[Draft]) -> list[Outbox]:
        parcels = {draft.event.id: parcel for draft in drafts if (parcel := self._pack(draft))}
        claims: dict[str, KeyClaim] = {}
        for draft in drafts:
            parcel = parcels.get(draft.event.id)
            if parcel is not None and parcel.claim is not None:
                claims.setdefault(parcel.claim.key, parcel.claim)
        # Claims are asked for once all verdicts are known: a sale that is withheld must not take
        # the order's only Purchase.
        won = await self._tx.claim([claims[key] for key in sorted(claims)])
        rows: list[CapiRow] = []
        for draft in drafts:
            parcel = parcels.get(draft.event.id)
            if parcel is None:
                continue
            claim = parcel.claim
            if claim is None or (claim.key in won and claims[claim.key].owner == draft.event.id):
                # No message brings a stored sale again after a crash. So its row counts as
                # published only once the broker has it, and the sweep finds it until then.
                rows += [
                    msgspec.structs.replace(row, delivered=not draft.stored) for row in parcel.rows
                ]
            else:
                draft.verdict = rules.withhold("duplicate")
        return await self._tx.add_capi_events(rows)

    def _pack(self, draft: Draft) -> OutboxEntry | None:
        if draft.verdict.event_name:
            draft.event_id = meta_id(
                self._plan.slug, draft.event, draft.verdict.event_name, namesake=draft.namesake
            )
        if draft.verdict.action != "send" or draft.funnel is None:
            return None
        try:
            return pack(
                self._plan,
                draft.funnel,
                draft.event,
                draft.verdict,
                click=draft.click,
                conversion_id=draft.conversion_id,
                now=self._now,
                namesake=draft.namesake,
            )
        except Unidentifiable:
            draft.verdict = rules.withhold("unidentifiable")
            return None


def _proven(orders: list[Order]) -> Iterable[tuple[str, list[str], list[str], int]]:
    """A sale that carries our own id proves whose e-mail it is: the next order of that buyer finds
    the same click.

    Not where the visitor had given another e-mail or phone: then the sale is somebody else's, or a
    gift.
    """
    for order in orders:
        if not (order.match and order.match.rule in OWN and order.click and order.subject):
            continue
        told = {*order.click.emails, *order.click.phones}
        if told <= {*order.subject.emails, *order.subject.phones}:
            yield (
                order.click.click_id,
                order.subject.emails,
                order.subject.phones,
                order.click.last_at,
            )


def _event_row(draft: Draft) -> EventRow:
    event, sale = draft.event, draft.event.sale
    return EventRow(
        id=event.id,
        received_at=moment(event.received_at),
        occurred_at=moment(event.occurred_at),
        funnel=event.funnel,
        kind=event.kind,
        source=event.source,
        event_id=draft.event_id or event.event_id,
        status=sale.status if sale else None,
        gateway=sale.gateway if sale else None,
        integration=event.integration,
        order_id=event.order_id,
        click_id=event.click_id,
        value=event.value,
        currency=event.currency,
        email_hash=next(iter(event.user.em), None),
        consent_ads=event.consent_ads,
        conversion_id=draft.conversion_id,
        outcome=_OUTCOMES[draft.verdict.action],
        reason=draft.verdict.reason,
        body=msgspec.Raw(encode_event(event)),
    )


def _outcome_row(draft: Draft) -> OutcomeRow:
    return OutcomeRow(
        id=draft.event.id,
        received_at=moment(draft.event.received_at),
        outcome=_OUTCOMES[draft.verdict.action],
        reason=draft.verdict.reason,
        event_id=draft.event_id,
    )
