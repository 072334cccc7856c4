"""A listener that does not keep up is let go instead of filling the memory; followers show each state once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_runtime.api.tail import QUEUE, Follower, Item, Listener
from sinal_runtime.store.reading import EventDetail, OutcomeDetail
from sinal_runtime.store.tailing import Change

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
        self.log: list[Change] = []
        self.events: dict[str, EventDetail] = {}

    def change(self, key: str, state: str = "in_flight", *, seconds: float = 0) -> None:
        self.log.append(Change(self.clock + timedelta(seconds=seconds), key))
        self.events[key] = event(key, state)

    async def now(self) -> datetime:
        return self.clock

    async def changes(self, tenant: str | None, after: tuple[datetime, str], *, limit: int) -> list[Change]:
        ordered = sorted(self.log, key=lambda change: (change.at, change.id))
        return [change for change in ordered if (change.at, change.id) > after][:limit]

    async def get_events(self, tenant: str | None, ids: Sequence[str]) -> list[EventDetail]:
        return [self.events[key] for key in ids if key in self.events]


async def test_each_state_is_shown_once_however_often_the_last_seconds_are_read() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0, ""))
    store.change("ev_1")
    assert [item.event.id for item in await follower.step()] == ["ev_1"]
    store.clock += timedelta(seconds=1)
    assert await follower.step() == []
    store.change("ev_1", "delivered")
    assert [item.event.outcome.state for item in await follower.step()] == ["delivered"]


async def test_a_late_commit_is_shown_and_more_than_a_page_too() -> None:
    store = Store()
    follower = Follower(store, store, None, (T0, ""))
    store.clock += timedelta(seconds=60)
    await follower.step()
    store.change("late", seconds=-4)
    assert [item.event.id for item in await follower.step()] == ["late"]
    for number in range(1_200):
        store.change(f"ev_{number:04}")
    assert len(await follower.step()) == 1_200


async def test_a_slow_listener_is_let_go_with_its_queue_emptied() -> None:
    listener = Listener()
    for number in range(QUEUE + 5):
        listener.give(Item(str(number), event("ev")))
    assert listener.lagged
    assert (listener.queue.qsize(), listener.queue.get_nowait()) == (1, None)
