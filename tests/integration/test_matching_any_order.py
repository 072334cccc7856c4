"""Clicks and sales in any order of arrival give the same attribution: what is decided depends on
facts alone.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinal_hub.model.events import Event, UserData
from sinal_hub.model.sale import Client, Customer, Tracking

from tests.support.fix_matching import Room, opened

HOUR, DAY = 60.0, 1440.0
# Addresses are looked up among visitors first heard of a week before the order or later.
MOMENTS = (-6 * DAY, -3 * DAY, -DAY, -5 * HOUR, -40.0, -10.0, -2.0, 3.0, 30.0, 5 * HOUR)
PEOPLE = ("ana", "bia", "cai")

visits = st.fixed_dictionaries(
    {
        "click": st.integers(0, 3),
        "at": st.sampled_from(MOMENTS),
        "kind": st.sampled_from(["click", "pageview", "lead"]),
        "em": st.sampled_from([None, "ana", "ana", "bia"]),
        "ph": st.sampled_from([None, None, None, *PEOPLE]),
    }
)
orders = st.fixed_dictionaries(
    {
        "statuses": st.sets(
            st.sampled_from(["pending", "approved", "completed", "refunded"]), min_size=1
        ),
        "em": st.sampled_from(["ana", "ana", "bia"]),
        "ph": st.sampled_from([None, *PEOPLE]),
        "told": st.sampled_from(["nothing", "nothing", "click", "cookie", "network"]),
        "which": st.integers(0, 3),
    }
)
WHEN = {"pending": -30.0, "approved": 0.0, "completed": 2 * DAY, "refunded": 3 * DAY}
numbers = itertools.count()


def _facts(
    room: Room, mark: str, told: list[dict[str, Any]], sales: list[dict[str, Any]]
) -> list[Event]:
    """The story's facts, its ids marked so that no other story shares any."""
    found = [
        room.visit(
            visit["kind"],
            at=visit["at"],
            key=f"{mark}-visit-{number}",
            # Every event of a click id is of one browser, as ids are.
            click_id=f"{mark}-click-{visit['click']}",
            fbp=f"{mark}-browser-{visit['click'] % 2}",
            ip=_network(mark, visit["click"] % 2),
            user=UserData(
                em=[f"{mark}-{visit['em']}"] if visit["em"] else [], ph=_phones(mark, visit["ph"])
            ),
        )
        for number, visit in enumerate(told)
    ]
    for number, sale in enumerate(sales):
        which = sale["which"]
        tracking = {
            "click": Tracking(click_id=f"{mark}-click-{which}"),
            "cookie": Tracking(fbp=f"{mark}-browser-{which % 2}"),
        }
        client = Client(ip=_network(mark, which % 2), user_agent=found[0].user_agent)
        found += [
            room.sale(
                status,
                order=f"{mark}-{number}",
                at=WHEN[status] + number,
                key=f"{mark}-{number}-{status}",
                customer=Customer(em=[f"{mark}-{sale['em']}"], ph=_phones(mark, sale["ph"])),
                tracking=tracking.get(sale["told"], Tracking()),
                client=client if sale["told"] == "network" else Client(),
            )
            for status in sorted(sale["statuses"])
        ]
    return found


def _phones(mark: str, who: str | None) -> list[str]:
    return [f"{mark}-phone-{who}"] if who else []


def _network(mark: str, number: int) -> str:
    serial = int(mark.rpartition("x")[2])
    return f"2804:{serial:x}:{number:x}::1"


async def _attributed(
    url: str, mark: str, facts: list[Event], sizes: list[int]
) -> list[tuple[object, ...]]:
    """Hand the facts over in batches of these sizes, let second looks happen, and tell what
    stands.
    """
    async with opened(url) as room:
        left = list(facts)
        for size in itertools.cycle(sizes):
            if not left:
                break
            await room.deliver(*left[:size])
            left = left[size:]
            room.pass_time(seconds=1)
        for _ in range(3):
            room.pass_time(seconds=10)
            await room.worker.sweep()
        rows = await room.rows(
            "select c.order_key, c.status, m.decision, m.rule_applied, m.confidence_score, "
            "m.click_id "
            "from conversions c join matches m on m.conversion_id = c.id where c.order_key like %s "
            "order by 1",
            f"{mark}-%",
        )
    return [tuple(str(value).replace(mark, "") for value in row.values()) for row in rows]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(visits, min_size=1, max_size=6), st.lists(orders, min_size=1, max_size=2), st.data()
)
def test_any_order_of_arrival_gives_the_same_attribution(
    postgres: str, told: list[dict[str, Any]], sales: list[dict[str, Any]], data: st.DataObject
) -> None:
    async def both() -> None:
        found = []
        for again in (False, True):
            mark = f"x{next(numbers)}"
            async with opened(postgres) as room:
                facts = _facts(room, mark, told, sales)
            facts.sort(key=lambda event: event.occurred_at)
            if again:
                facts = [facts[place] for place in places]
            sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3), label="batches")
            found.append(await _attributed(postgres, mark, facts, sizes))
        assert found[0] == found[1], (told, sales)

    count = len(told) + sum(len(sale["statuses"]) for sale in sales)
    places = data.draw(st.permutations(range(count)), label="arrival")
    asyncio.run(both())
