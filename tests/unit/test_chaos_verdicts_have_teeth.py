"""The judge of the chaos schedules: it is silent about what was promised and sees every way of
breaking it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.support.chaos import faults, model
from tests.support.chaos import schedule as schedules
from tests.support.chaos.records import Records
from tests.support.chaos.schedule import Schedule
from tests.support.chaos.senders import Receipts
from tests.support.chaos.stories import Order
from tests.support.chaos.verdict import judge

schedule = cache(schedules.schedule)
SEED = 0  # a dead and restarted edge, nothing that Meta refuses


class Run:
    """A run in which everything went as it should, to be broken."""

    def __init__(self) -> None:
        drawn = schedule(SEED)
        self.plan = Schedule(SEED, drawn.orders, (), drawn.over_s)
        self.receipts = Receipts({fact: f"ev_{n}" for n, fact in enumerate(self.plan.facts)})
        self.records = Records({}, {}, {}, {})
        for pixel in ("pixel", "pixel-vizinha", "pixel-agencia"):
            self.records.arrived[pixel], self.records.purchases[pixel] = Counter(), {}
        for order in self.plan.orders:
            self._settle(order)

    def _settle(self, order: Order) -> None:
        ending = model.endings(order)[0]
        for fact in order.facts:
            row, outcome = self.receipts.ids[fact], ending[fact.what]
            sent = outcome == model.SENT
            self.records.events[row] = [
                {
                    "id": row,
                    "outcome": "sent" if sent else "withheld",
                    "reason": None if sent else outcome,
                }
            ]
            for pixel in order.shop.pixels if sent else ():
                delivery = {"status": "delivered", "reason": None, "in_doubt": 0}
                self.records.deliveries.setdefault(row, {})[pixel.name] = delivery
                name, event_id = model.at_meta(order, fact.what)
                self.records.arrived[pixel.name][name, event_id] += 1
                if name == "Purchase":
                    self.records.purchases[pixel.name].setdefault(order.number, set()).add(event_id)

    def purchase(self, pixel: str) -> tuple[Order, dict[str, Any], tuple[str, str]]:
        """An order whose purchase is at that pixel, its delivery and its name and id there."""
        for order in self.plan.orders:
            for fact in order.sales:
                row = self.records.deliveries.get(self.receipts.ids[fact], {}).get(pixel)
                if row is not None and fact.what == "approved":
                    return order, row, model.at_meta(order, "approved")
        raise AssertionError(f"no purchase at {pixel}")

    def faults(self) -> list[str]:
        return judge(self.plan, self.receipts, self.records).faults


def lose(run: Run) -> None:
    del run.records.arrived["pixel"][run.purchase("pixel")[2]]


def repeat_without_a_doubt(run: Run) -> None:
    run.records.arrived["pixel"][run.purchase("pixel")[2]] += 1


def repeat_what_was_to_be_parked(run: Run) -> None:
    _, row, key = run.purchase("pixel-agencia")
    row["in_doubt"] = 1
    run.records.arrived["pixel-agencia"][key] += 1


def use_two_ids(run: Run) -> None:
    run.records.purchases["pixel"][run.purchase("pixel")[0].number].add("another")


def send_a_stranger(run: Run) -> None:
    run.records.arrived["pixel-vizinha"]["Purchase", "of nobody"] += 1


def give_up_without_reason(run: Run) -> None:
    run.purchase("pixel")[1].update(status="dead", reason="internal_error")


def forget_an_accepted_fact(run: Run) -> None:
    del run.records.events[run.receipts.ids[run.plan.facts[0]]]


def record_a_fact_twice(run: Run) -> None:
    run.records.events[run.receipts.ids[run.plan.facts[0]]] *= 2


def forget_a_destination(run: Run) -> None:
    order, _, _ = run.purchase("pixel-agencia")
    [fact] = [fact for fact in order.sales if fact.what == "approved"]
    del run.records.deliveries[run.receipts.ids[fact]]["pixel-agencia"]


def send_without_consent(run: Run) -> None:
    for order in run.plan.orders:
        if order.consent == "no" and not order.shop.silence_is_consent:
            row = run.receipts.ids[order.sales[-1]]
            run.records.events[row][0].update(outcome="sent", reason=None)
            return


def refuse_a_sender(run: Run) -> None:
    run.receipts.wrong.append("loja/HP1/approved was answered 401")


BREAKS: tuple[Callable[[Run], None], ...] = (
    lose,
    repeat_without_a_doubt,
    repeat_what_was_to_be_parked,
    use_two_ids,
    send_a_stranger,
    give_up_without_reason,
    forget_an_accepted_fact,
    record_a_fact_twice,
    forget_a_destination,
    send_without_consent,
    refuse_a_sender,
)


def test_a_run_as_promised_is_not_blamed() -> None:
    assert Run().faults() == []


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda one: one.__name__)
def test_every_broken_promise_is_seen(break_it: Callable[[Run], None]) -> None:
    run = Run()
    break_it(run)
    assert run.faults()


def test_a_repeat_that_the_ledger_doubted_is_allowed_where_doubts_are_sent_again() -> None:
    run = Run()
    _, row, key = run.purchase("pixel")
    row["in_doubt"] = 1
    run.records.arrived["pixel"][key] += 1
    assert run.faults() == []


def test_a_seed_gives_the_same_schedule_and_a_row_of_seeds_all_main_faults() -> None:
    assert str(schedule(7)) == str(schedules.schedule(7)) != str(schedule(8))
    shown = {
        (fault.kind, fault.target)
        for seed in range(len(faults.MAINS))
        for fault in schedule(seed).faults
    }
    assert {("kill", role) for role in faults.ROLES} <= shown
    assert {("restart", service) for service in faults.SERVICES} <= shown
    assert {("wipe", "nats"), ("disk_full", "nats"), ("freeze", "dispatch")} <= shown


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (("refused", "approved"), {"refused": "policy", "approved": "sent"}),
        (("approved", "refused"), {"approved": "sent", "refused": "out_of_order"}),
        (("completed", "approved"), {"completed": "policy", "approved": "sent"}),
        (("refunded", "approved"), {"refunded": "policy", "approved": "out_of_order"}),
        (("approved", "pending"), {"approved": "sent", "pending": "out_of_order"}),
    ],
)
def test_the_model_says_what_the_contract_says(
    sequence: tuple[str, ...], expected: dict[str, str]
) -> None:
    order = next(o for o in schedule(SEED).orders if o.consent == "yes" and not o.is_test)
    assert model.played(order, sequence) == expected
