"""A listener that does not keep up is let go instead of filling the memory.

Followers show each state once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_hub.services.tail import PAGE, QUEUE, Follower, Item, Listener, Tail
from sinal_hub.store.reading import EventDetail, OutcomeDetail
from sinal_hub.store.tailing import EventChange

T0 = datetime(2026, 9, 21, 12, tzinfo=UTC)


def event(key: str, state: str = "in_flight") -> EventDetail:
    return EventDetail(
        id=key, event_id=None, kind="sale", status=None, tenant="loja", funnel="f", gateway=None, order_id=None,
        value=None, currency=None, occurred_at=T0, received_at=T0, match=None, deliveries=[],
        outcome=msgspec.convert({"state": state, "reason": None}, OutcomeDetail),
    )  # fmt: skip


class Store:
    """Changes and events in memory."""

    def __init__(self) -> None:
        self.clock = T0
        self.log: list[EventChange] = []
        self.events: dict[str, EventDetail] = {}
        self.asked = 0  # for so many events

    def change(self, key: str, state: str = "in_flight", *, seconds: float = 0) -> None:
        self.log.append(EventChange(self.clock + timedelta(seconds=seconds), key))
        self.events[key] = event(key, state)

    async def now(self) -> datetime:
        return self.clock

    async def changes(
        self, tenant: str | None, after: tuple[datetime, str], *, limit: int
    ) -> list[EventChange]:
        ordered = sorted(self.log, key=lambda change: (change.at, change.id))
        return [change for change in ordered if (change.at, change.id) > after][:limit]

    async def get_events(self, tenant: str | None, ids: Sequence[str]) -> list[EventDetail]:
        self.asked += len(ids)
        return [self.events[key] for key in ids if key in self.events]


async def step(follower: Follower) -> list[Item]:
    return [item async for item in follower.step()]


async def test_each_state_is_shown_once_however_often_the_last_seconds_are_read() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0, ""))
    store.change("ev_1")
    assert [item.event.id for item in await step(follower)] == ["ev_1"]
    store.clock += timedelta(seconds=1)
    assert await step(follower) == []
    store.change("ev_1", "delivered")
    assert [item.event.outcome.state for item in await step(follower)] == ["delivered"]


async def test_a_late_commit_is_shown_and_more_than_a_page_too() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0, ""))
    store.clock += timedelta(seconds=60)
    await step(follower)
    store.change("late", seconds=-4)
    assert [item.event.id for item in await step(follower)] == ["late"]
    for number in range(1_200):
        store.change(f"ev_{number:04}")
    assert len(await step(follower)) == 1_200


async def test_a_late_commit_is_shown_though_pages_were_full_since() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0 - timedelta(seconds=60), ""))
    for number in range(2 * PAGE):
        store.change(f"ev_{number:04}", seconds=-1)
    assert len(await step(follower)) == 2 * PAGE
    store.change("late", seconds=-2)
    assert [item.event.id for item in await step(follower)] == ["late"]


async def test_what_was_read_is_not_asked_for_again_and_is_forgotten_in_time() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0, ""))
    store.change("ev_1", seconds=1)
    for _ in range(10):
        await step(follower)
    assert store.asked == 1
    store.clock += timedelta(seconds=60)
    await step(follower)
    assert not follower._read and not follower._seen


async def test_a_long_past_is_read_page_by_page_as_it_is_taken() -> None:
    """Whoever names a cursor of years ago gets everything since, and the process never holds more
    than a page of it.
    """
    store = Store()
    for number in range(5 * PAGE):
        store.change(f"ev_{number:04}", seconds=number - 10_000)
    items = Tail(store, store).follow(None, (datetime(1, 1, 1, tzinfo=UTC), ""))
    found = []
    for number in range(5 * PAGE):
        item = await anext(items)
        assert item is not None and store.asked <= number + PAGE
        found.append(item.event.id)
    assert found == sorted(store.events)
    await items.aclose()


async def test_who_returns_is_shown_what_was_stored_late_while_he_was_away() -> None:
    store = Store()
    store.change("shown")
    store.change("late", seconds=-3)
    items = Tail(store, store).follow(None, (T0, "shown"))
    async with asyncio.timeout(60):
        found = [
            item.event.id for item in [await anext(items), await anext(items)] if item is not None
        ]
    assert found == ["late", "shown"]
    await items.aclose()


async def test_a_slow_listener_is_let_go_with_its_queue_emptied() -> None:
    listener = Listener()
    for number in range(QUEUE + 5):
        listener.give(Item(T0, event(f"ev_{number}")))
    assert listener.lagged
    assert (listener.queue.qsize(), listener.queue.get_nowait()) == (1, None)
