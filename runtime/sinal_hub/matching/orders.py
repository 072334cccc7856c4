"""One order while its batch is worked on: state, evidence, match, and the sales that hang on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from sinal_crds.plan import FunnelPlan, MatchingPlan
from sinal_hub.matching import decision as rules
from sinal_hub.matching.order_state import OrderState, advance
from sinal_hub.matching.refunds import Refunds, is_part
from sinal_hub.matching.scoring import Score, best
from sinal_hub.matching.visitors import browser_keys, subject_keys
from sinal_hub.model.events import Event, encode
from sinal_hub.model.evidence import Candidate, RunnerUp, Subject, subject_of
from sinal_hub.model.signals import OWN
from sinal_hub.model.times import moment
from sinal_hub.store.matching_rows import (
    KnownMatch,
    MatchRow,
    Merge,
    Misnamed,
    NewOrder,
    OpenOrder,
    OrderQuery,
    OrderRow,
)

# Two workers may handle a click and its sale at the same moment, neither seeing the other; a second
# look finds it.
SECOND_LOOK = timedelta(seconds=5)
BY_PERSON = "review_"  # how rules begin that a person's word made


@dataclass
class Draft:
    """One event on its way to an outcome; `stored` when its row is there from an earlier batch.

    `follows`: it names no product where products decide, and belongs to its order if that is there.
    """

    event: Event
    verdict: rules.Verdict
    funnel: FunnelPlan | None = None
    conversion_id: int | None = None
    click: Candidate | None = None
    event_id: str | None = None
    stored: bool = False
    may_wait: bool = True
    follows: bool = False
    namesake: bool = False  # its order is one

    @property
    def status(self) -> str:
        """What its sale says."""
        return self.event.sale.status if self.event.sale is not None else ""


@dataclass
class Order:
    """A locked order; `fresh` when a sale of this batch belongs to it.

    `taught` when another sale of the batch may prove whose e-mail or phone this order's is.
    """

    row: OrderRow
    state: OrderState
    subject: Subject | None
    known: KnownMatch | None
    drafts: list[Draft] = field(default_factory=list)
    fresh: bool = False
    amount: Decimal | None = None
    currency: str | None = None
    refunds: Refunds = field(default_factory=Refunds)
    decision: rules.Decision = "unmatched"
    click: Candidate | None = None
    match: MatchRow | None = None
    rule: str = ""
    browsers: list[Candidate] = field(default_factory=list)
    taught: bool = False

    @classmethod
    def of(cls, row: OrderRow, known: KnownMatch | None) -> Order:
        """An order as it stands in the database."""
        state = OrderState(
            row.status, 0 if row.status_at is None else round(row.status_at.timestamp() * 1000)
        )
        subject = (
            # Erasure and retention leave `{}`: there is nobody left to look for.
            msgspec.json.decode(row.signals, type=Subject) if bytes(row.signals) != b"{}" else None
        )
        return cls(
            row=row,
            state=state,
            subject=subject,
            known=known,
            refunds=Refunds(row.refunded_parts, row.refunded_total),
            decision=known.decision if known is not None else "unmatched",
            rule=known.rule if known is not None else "",
        )

    def take(self, draft: Draft) -> None:
        """One more sale of this order: its state moves by rank, its evidence grows."""
        event = draft.event
        said = subject_of(event)
        self.subject = said if self.subject is None else self.subject.merged(said)
        # Before refunds are counted: whether one gives all of it back depends on what the order
        # cost.
        if event.value is not None and self.cost is None:
            self.amount, self.currency = Decimal(event.value), event.currency
        self._give_back(draft)
        self.state, move = advance(self.state, draft.status, draft.event.occurred_at)
        self.state = self.refunds.settled(self.state, self.cost)
        if move == "out_of_order":
            draft.verdict = rules.withhold("out_of_order")
        # The amount is that of the state that stands: a delivery that moved nothing does not change
        # one that is stored.
        elif event.value is not None and (move == "moved" or self.row.amount is None):
            self.amount, self.currency = Decimal(event.value), event.currency
        # Its funnel may have been renamed since the order began; the latest sale knows where it
        # belongs.
        self.row = msgspec.structs.replace(
            self.row,
            funnel=draft.event.funnel,
            integration=draft.event.integration or self.row.integration,
        )
        draft.conversion_id, draft.namesake = self.row.id, self.row.namesake
        self.drafts.append(draft)
        self.fresh = True

    @property
    def cost(self) -> Decimal | None:
        """What the order cost, as far as its sales told."""
        return self.row.amount if self.amount is None else self.amount

    def _give_back(self, draft: Draft) -> None:
        """Count a refund.

        One that does not say what the order cost gives all of it back only if the order says so.
        """
        sale = draft.event.sale
        assert sale is not None  # noqa: S101 - orders take sales
        self.refunds = self.refunds.plus(draft.event)
        # What an order cost may be told after its refund: the state that the refund left is looked
        # at again.
        self.state = self.refunds.settled(self.state, self.cost)
        if is_part(draft.event) and self.refunds.leave(self.cost):
            draft.event = msgspec.structs.replace(
                draft.event, sale=msgspec.structs.replace(sale, status="partially_refunded")
            )

    def absorb(self, other: Order) -> None:
        """Become one with an order that was opened under another name; its facts move here."""
        if other.subject is not None:
            self.subject = (
                other.subject if self.subject is None else self.subject.merged(other.subject)
            )
        if self.cost is None and other.cost is not None:
            self.amount, self.currency = other.cost, other.currency or other.row.currency
        self.refunds = self.refunds.merged(other.refunds)
        if other.state.status is not None:
            self.state, _ = advance(self.state, other.state.status, other.state.at)
        self.state = self.refunds.settled(self.state, self.cost)
        # Both waits are those of one sale: the order is due when the earlier of them ends.
        held = [until for until in (self.row.hold_until, other.row.hold_until) if until is not None]
        self.row = msgspec.structs.replace(self.row, hold_until=min(held, default=None))
        self.fresh = True

    def question(self, plan: MatchingPlan) -> OrderQuery:
        """What to look for: the evidence, and the click that was chosen before, whose data is
        needed again.
        """
        assert self.subject is not None  # noqa: S101 - callers ask orders that have evidence
        window_s = max(plan.click_window_s, plan.view_window_s)
        return OrderQuery(self.subject, self.known.click_id if self.known else None, window_s)

    def look(self, funnel: FunnelPlan, candidates: list[Candidate]) -> None:
        """Choose the click by all that is known now, so that the sequence in which it came does not
        matter.

        What stood before stays where a person said so, or where its click is gone, unless the new
        evidence is better.
        """
        if self.subject is None:
            return
        score = best(self.subject, candidates, funnel.matching)
        self.browsers = score.browsers
        known = self.known
        if known is not None:
            chosen = next((one for one in candidates if one.click_id == known.click_id), None)
            stands = known.rule.startswith(BY_PERSON) or (
                known.click_id is not None and chosen is None
            )
            if stands and score.score <= known.score:
                self.decision, self.click = known.decision, chosen
                return
        self.decision = rules.decide(score.score, funnel.matching)
        self.click = score.candidate
        match = _match_row(self.row.id, self.decision, score)
        if (
            known is None
            or KnownMatch(match.click_id, self.decision, match.score, match.rule) != known
        ):
            self.match = match
        self.rule = score.rule

    @property
    def settled(self) -> bool:
        """Whether no other click could be the one: the sale names it by the only id of ours that
        came back.
        """
        subject = self.subject
        if subject is None or self.decision != "match" or self.rule not in OWN:
            return False
        return self.click is not None and len(subject.click_ids) + len(subject.session_ids) == 1

    def saved(self, now: datetime, wait_s: int) -> OrderRow:
        """The row as it is to be written."""
        subject = self.subject
        assert subject is not None  # noqa: S101 - an order has at least one sale
        waiting = any(draft.verdict.action == "wait" for draft in self.drafts)
        # A wait that runs is not begun anew: each further sale of the order would prolong it.
        held = self.row.hold_until if self.row.hold_until and self.row.hold_until > now else None
        return msgspec.structs.replace(
            self.row,
            status=self.state.status,
            status_at=moment(self.state.at) if self.state.status else None,
            amount=self.amount,
            currency=self.currency,
            ts=moment(subject.first_at),
            last_at=moment(subject.last_at),
            email_hash=next(iter(subject.emails), None),
            phone_hash=next(iter(subject.phones), None),
            signals=msgspec.Raw(encode(subject)),
            hold_until=(held or now + timedelta(seconds=wait_s)) if waiting else None,
            recheck_at=now + SECOND_LOOK
            if (self.fresh or self.taught) and not self.settled
            else None,
            refunded_parts=self.refunds.parts,
            refunded_total=self.refunds.total,
        )

    def open_keys(self) -> list[OpenOrder]:
        """Keys by which a late click finds this order, also one of a browser that was recognised.

        None once settled.
        """
        subject = self.subject
        if subject is None or self.settled:
            return []
        bought_at = moment(subject.bought_at)
        keys = sorted(
            {
                *subject_keys(subject),
                *(key for browser in self.browsers for key in browser_keys(browser)),
            }
        )
        return [OpenOrder(conversion_id=self.row.id, key=key, last_at=bought_at) for key in keys]


def _match_row(order: int, decision: rules.Decision, score: Score) -> MatchRow:
    click_id = score.candidate.click_id if score.candidate else None
    runner_up = score.runner_up
    if decision == "unmatched" and click_id is not None:
        # The sale belongs to no click; the best of them is still worth knowing.
        runner_up = RunnerUp(click_id, score.rule, score.score)
        click_id = None
    explanation = {
        "decision": decision,
        "rule": score.rule,
        "score": score.score,
        "click_id": click_id,
        "signals": score.signals,
        "runner_up": runner_up,
        "visitors": score.visitors,
        "rivals": score.rivals,
    }
    return MatchRow(
        conversion_id=order,
        click_id=click_id,
        decision=decision,
        score=score.score,
        rule=score.rule,
        explanation=msgspec.Raw(encode(explanation)),
    )


def order_key(event: Event) -> tuple[str, str]:
    """Gateway and order of a sale; one without an order id stands for itself."""
    sale = event.sale
    assert sale is not None  # noqa: S101 - callers pass sales
    return sale.gateway, event.order_id or event.id


def new_order(event: Event) -> NewOrder:
    """The row a sale opens if its order is not there."""
    gateway, key = order_key(event)
    sale = event.sale
    assert sale is not None  # noqa: S101 - callers pass sales
    return NewOrder(
        gateway=gateway,
        order_key=key,
        order_id=event.order_id,
        parent_order_id=sale.parent_order_id,
        funnel=event.funnel,
        integration=event.integration,
        at=moment(event.occurred_at),
    )


def renamed_order(found: Misnamed) -> NewOrder:
    """The row of an order that was opened under a name, under its own id."""
    return NewOrder(
        gateway=found.gateway,
        order_key=found.target,
        order_id=found.target,
        parent_order_id=found.parent_order_id,
        funnel=found.funnel,
        integration=found.integration,
        at=found.ts,
    )


def merged(ids: Mapping[tuple[str, str], int], misnamed: Iterable[Misnamed]) -> list[Merge]:
    """The pairs of locked rows (by gateway and key) that are one order."""
    return [
        Merge(
            source=source,
            target=target,
            gateway=one.gateway,
            name=one.order_key,
            order_key=one.target,
        )
        for one in misnamed
        if (source := ids.get((one.gateway, one.order_key))) is not None
        and (target := ids.get((one.gateway, one.target))) is not None
    ]
