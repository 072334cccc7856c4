"""Compare what was promised with what the ledger says and with what is at Meta."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.chaos import model
from tests.support.chaos.records import Records
from tests.support.chaos.schedule import Schedule
from tests.support.chaos.senders import Receipts
from tests.support.chaos.stories import Fact, Order
from tests.support.chaos.world import Pixel

MOST_SHOWN = 40


@dataclass
class Verdict:
    """What is wrong, and what was counted."""

    faults: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        more = len(self.faults) - MOST_SHOWN
        return "\n".join([*self.faults[:MOST_SHOWN], *([f"… and {more} more"] if more > 0 else [])])


def judge(schedule: Schedule, receipts: Receipts, records: Records) -> Verdict:
    """The verdict on one run."""
    verdict = Verdict(list(receipts.wrong))
    expected: dict[str, set[tuple[str, str]]] = {name: set() for name in records.arrived}
    for order in schedule.orders:
        verdict.faults += _order(order, receipts, records)
        for fact in order.facts:
            rows = records.deliveries.get(receipts.ids.get(fact, ""), {})
            for pixel in order.shop.pixels:
                if pixel.name in rows:
                    expected[pixel.name].add(model.at_meta(order, fact.what))
                    verdict.faults += _delivery(
                        schedule, order, fact, pixel, rows[pixel.name], records
                    )
                    _count(verdict.counted, order, fact, pixel, rows[pixel.name], records)
    for name, arrived in records.arrived.items():
        verdict.faults += [
            f"{name} has {what}, which nobody should have sent"
            for what in arrived.keys() - expected[name]
        ]
        several = {order: ids for order, ids in records.purchases[name].items() if len(ids) > 1}
        verdict.faults += [
            f"{name} has {order} under {len(ids)} ids" for order, ids in several.items()
        ]
    verdict.counted["facts"] = len(schedule.facts)
    return verdict


def _order(order: Order, receipts: Receipts, records: Records) -> Iterator[str]:
    ending: model.Ending = {}
    for fact in order.facts:
        rows = records.events.get(receipts.ids.get(fact, ""), [])
        if len(rows) != 1:
            yield f"{fact.name} ({receipts.ids.get(fact)}) has {len(rows)} rows in the ledger"
            return
        ending[fact.what] = rows[0]["reason"] or rows[0]["outcome"]
        wanted = (
            {pixel.name for pixel in order.shop.pixels}
            if ending[fact.what] == model.SENT
            else set()
        )
        found = records.deliveries.get(rows[0]["id"], {}).keys()
        if found != wanted:
            yield f"{fact.name} goes to {sorted(found)} instead of {sorted(wanted)}"
    allowed = model.endings(order)
    if ending not in allowed:
        yield (
            f"{order.shop.slug}/{order.number} (consent {order.consent}) ended as {ending}, "
            f"allowed: {allowed}"
        )


def _delivery(
    schedule: Schedule,
    order: Order,
    fact: Fact,
    pixel: Pixel,
    row: dict[str, Any],
    records: Records,
) -> Iterator[str]:
    """One event at one pixel: its end must be the one that is due, and Meta must have it as often
    as that says.
    """
    times = records.arrived[pixel.name][model.at_meta(order, fact.what)]
    what = (
        f"{fact.name} at {pixel.name}: {row['status']} {row['reason'] or ''}, {times} times at Meta"
    )
    end = (row["status"], row["reason"])
    if _is_poisoned(schedule, order, fact, pixel):
        if (
            end not in {("dead", "rejected"), *([("dead", "in_doubt")] if pixel.parks else [])}
            or times
        ):
            yield f"{what}, which refuses it"
    elif end == ("dead", "in_doubt") and pixel.parks and row["in_doubt"]:
        if times > 1:
            yield f"{what}, though it was parked"
    elif (
        end == ("withheld", "no_consent") and order.consent == "no"
    ):  # the no came between the sale and its sending
        if times > row["in_doubt"]:
            yield f"{what}, in doubt {row['in_doubt']} times"
    elif end != ("delivered", None):
        yield f"{what}, and nothing stood in its way"
    elif not times:
        yield f"{what}: lost"
    elif times - 1 > (0 if pixel.parks else row["in_doubt"]):
        yield f"{what}, in doubt {row['in_doubt']} times"


def _is_poisoned(schedule: Schedule, order: Order, fact: Fact, pixel: Pixel) -> bool:
    if fact.what not in model.EVENTS:
        return False
    _, event_id = model.at_meta(order, fact.what)
    scripts = [fault.script for fault in schedule.faults if fault.script]
    return any(s.get("event_id") == event_id and s["pixel"] == pixel.number for s in scripts)


def _count(
    counted: Counter[str],
    order: Order,
    fact: Fact,
    pixel: Pixel,
    row: dict[str, Any],
    records: Records,
) -> None:
    times = records.arrived[pixel.name][model.at_meta(order, fact.what)]
    counted["deliveries"] += 1
    counted[row["status"]] += 1
    counted["doubts"] += row["in_doubt"]
    counted["repeats"] += max(0, times - 1)
