"""Services of `sinal up` that die: started again at once, then less and less often, and named on
the terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from sinal_cli.embedded.process import Managed, ServiceStartError
from sinal_cli.local import services
from sinal_cli.local.bulletin import Verb
from sinal_cli.local.services import PAUSE, ServiceWatch, pause_s
from sinal_core.aio.backoff import Backoff


class Frail(Managed):
    """A service without a process: it ends when told, and does not start as often as told."""

    def __init__(self, *, failures: int = 0) -> None:
        super().__init__("Frail")
        self.failures, self.starts, self.ended = failures, 0, False

    @property
    def pid(self) -> int:
        return 7 + self.starts

    @property
    def end(self) -> str | None:
        return "ended by signal 9" if self.ended else None

    @property
    def log(self) -> Path | None:
        return Path("frail.log")

    async def start(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ServiceStartError("not yet")
        self.starts += 1
        self.ended = False


Said = list[tuple[Verb, str]]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOOK_S", 0.0)
    monkeypatch.setattr(services, "PAUSE", Backoff(base_s=0.0, cap_s=0.0))


async def watched(service: Frail, said: Said, work: Callable[[], bool]) -> None:
    """Watch until the work says that it is done."""
    watch = ServiceWatch((service,), lambda verb, what: said.append((verb, what)))
    watch.begin()
    async with asyncio.timeout(10):
        while not work():
            await asyncio.sleep(0)
    await watch.stop()


async def test_one_that_dies_is_started_again_and_named() -> None:
    service, said = Frail(), Said()
    service.ended = True
    await watched(service, said, lambda: bool(said))
    assert said == [("restarted", "Frail (pid 7) ended by signal 9: started again")]


async def test_a_first_failure_is_no_news_and_a_second_one_is_told_once() -> None:
    service, said = Frail(failures=1), Said()
    service.ended = True
    await watched(service, said, lambda: bool(said))
    assert [verb for verb, _ in said] == ["restarted"]

    service, said = Frail(failures=3), Said()
    service.ended = True
    await watched(service, said, lambda: service.starts == 1 and len(said) > 1)
    assert [verb for verb, _ in said] == ["ended", "restarted"]
    assert "see frail.log" in said[0][1]


async def test_one_that_keeps_dying_is_told_with_its_log() -> None:
    service, said = Frail(), Said()

    def dies() -> bool:
        service.ended = True
        return any(verb == "error" for verb, _ in said)

    await watched(service, said, dies)
    assert ("error", "Frail ended 5 times in 120 s\nsee frail.log") in said


def test_the_first_start_is_at_once_and_each_further_one_waits_twice_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "PAUSE", PAUSE)
    assert [pause_s(range(n)) for n in (1, 2, 3, 4)] == [0.0, 0.5, 1.0, 2.0]
    assert pause_s(range(40)) == PAUSE.cap_s
    assert pause_s([0.0, 500.0]) == 0.0  # long ago is forgotten
