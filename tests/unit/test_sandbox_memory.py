"""What the emulator remembers: repeats for 48 hours, events within bounds, and all of it over a
restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from sinal_sandbox.app import build
from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.records import SeenKeys

from tests.support.fix_sandbox import EventFactory

HOUR = 3_600


class Emulator:
    """An emulator under a clock of its own, without sockets."""

    def __init__(self, **config: Any) -> None:
        self.now = 1_795_300_000.0
        self.sandbox = build(SandboxConfig(**config), clock=lambda: self.now)

    def close(self) -> None:
        if self.sandbox.journal is not None:
            self.sandbox.journal.close()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.sandbox.app), base_url="http://sandbox"
        )

    async def send(self, *events: dict[str, Any], pixel: str = "1") -> None:
        async with self.client() as client:
            body = {
                "data": [{**event, "event_time": int(self.now)} for event in events],
                "access_token": "t",
            }
            answer = await client.post(f"/v26.0/{pixel}/events", json=body)
            assert answer.json()["events_received"] == len(events)

    async def get(self, path: str) -> Any:
        async with self.client() as client:
            return (await client.get(path)).json()

    async def marks(self) -> list[bool]:
        return [event["duplicate"] for event in (await self.get("/_sandbox/events"))["events"]]


EmulatorFactory = Callable[..., Emulator]


@pytest.fixture
def start() -> Iterator[EmulatorFactory]:
    """Makes emulators and closes them after the test."""
    with ExitStack() as stack:

        def make(**config: Any) -> Emulator:
            emulator = Emulator(**config)
            stack.callback(emulator.close)
            return emulator

        yield make


async def test_a_repeat_within_48_hours_is_kept_and_marked(
    start: EmulatorFactory, meta_event: EventFactory
) -> None:
    emulator, event = start(), meta_event()
    await emulator.send(event, event)
    emulator.now += 48 * HOUR
    await emulator.send(event)
    emulator.now += 1
    await emulator.send(event)
    assert await emulator.marks() == [False, True, True, False]
    assert (await emulator.get("/_sandbox/health"))["events"]["duplicates"] == 2


async def test_pixel_name_and_id_make_the_key(
    start: EmulatorFactory, meta_event: EventFactory
) -> None:
    emulator = start()
    await emulator.send(meta_event())
    await emulator.send(meta_event(), pixel="2")
    await emulator.send(meta_event({"event_name": "Lead"}), meta_event({"event_id": "ORDER-1"}))
    await emulator.send(meta_event({"event_id": ...}), meta_event({"event_id": ...}))
    assert await emulator.marks() == [False] * 6


async def test_the_oldest_events_leave_and_are_counted(
    start: EmulatorFactory, meta_event: EventFactory
) -> None:
    emulator = start(keep=3)
    await emulator.send(*(meta_event({"event_id": str(n)}) for n in range(5)))
    shown = await emulator.get("/_sandbox/events")
    assert [event["event"]["event_id"] for event in shown["events"]] == ["2", "3", "4"]
    counters = (await emulator.get("/_sandbox/health"))["events"]
    assert (counters["received"], counters["kept"], counters["dropped"]) == (5, 3, 2)


async def test_bytes_are_bounded_too(start: EmulatorFactory, meta_event: EventFactory) -> None:
    emulator = start(keep_bytes=20_000)
    for n in range(5):
        await emulator.send(meta_event({"event_id": str(n), "custom_data.note": "x" * 9_000}))
    counters = (await emulator.get("/_sandbox/health"))["events"]
    assert counters["kept"] == 2
    assert counters["kept_bytes"] <= 20_000


def test_dedup_keys_are_bounded_and_the_oldest_leave_first() -> None:
    keys = SeenKeys(limit=100)
    assert not any(keys.add("1", "Purchase", str(n), n) for n in range(1_000))
    assert len(keys) <= 100
    assert keys.add("1", "Purchase", "999", 1_000)
    assert not keys.add("1", "Purchase", "0", 1_001)


async def test_a_restart_keeps_events_and_repeats(
    tmp_path: Path, start: EmulatorFactory, meta_event: EventFactory
) -> None:
    data = tmp_path / "meta" / "events.jsonl"
    first = start(data_file=data)
    await first.send(meta_event({"event_id": "á"}), meta_event({"event_id": "b"}))
    before = await first.get("/_sandbox/events")
    with data.open("ab") as file:
        file.write(b'{"pixel": "1", "event_na')  # a crash in the middle of a line
    second = start(data_file=data)
    assert await second.get("/_sandbox/events") == before
    await second.send(meta_event({"event_id": "á"}))
    assert await second.marks() == [False, False, True]


async def test_the_journal_is_bounded(
    tmp_path: Path, start: EmulatorFactory, meta_event: EventFactory
) -> None:
    data = tmp_path / "events.jsonl"
    emulator = start(data_file=data, keep=10)
    for n in range(95):
        await emulator.send(meta_event({"event_id": str(n)}))
        assert len(data.read_bytes().splitlines()) <= 20
    shown = await start(data_file=data, keep=10).get("/_sandbox/events")
    assert [event["event"]["event_id"] for event in shown["events"]] == [
        str(n) for n in range(85, 95)
    ]


async def test_clearing_empties_the_journal(
    tmp_path: Path, start: EmulatorFactory, meta_event: EventFactory
) -> None:
    data = tmp_path / "events.jsonl"
    emulator = start(data_file=data)
    await emulator.send(meta_event())
    async with emulator.client() as client:
        await client.delete("/_sandbox")
    assert (await start(data_file=data).get("/_sandbox/events"))["total"] == 0


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_bytes"):
        SandboxConfig(keep_bytes=0)
