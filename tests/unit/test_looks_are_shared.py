"""One survey of the broker serves all of a process who take one that is recent enough."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from sinal_core.nats import BusUnavailable, Survey
from sinal_hub.status.surveys import Surveys

BORN = datetime(2026, 3, 1, tzinfo=UTC)


class Broker:
    """Tells how often it was surveyed; `gate` makes it slow."""

    def __init__(self) -> None:
        self.looks, self.at, self.away = 0, 0.0, False
        self.gate: asyncio.Event | None = None

    def monotonic(self) -> float:
        return self.at

    async def survey(self, *, ages: bool = False) -> Survey:
        assert ages
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise BusUnavailable("away")
        return Survey({"loja": BORN}, [])


async def test_each_reader_says_how_old_a_survey_may_be() -> None:
    broker = Broker()
    surveys = Surveys(broker, clock=broker)
    fresh, patient = surveys.within(0), surveys.within(10)
    for at, reader, looks in (
        (0, patient, 1),
        (9, patient, 1),
        (9, fresh, 2),
        (19, patient, 2),
        (19.5, patient, 3),
    ):
        broker.at = at
        assert (await reader.survey(ages=True)).births == {"loja": BORN}
        assert broker.looks == looks


async def test_who_asks_while_one_is_under_way_waits_for_that_one() -> None:
    broker = Broker()
    broker.gate = asyncio.Event()
    surveys = Surveys(broker, clock=broker)
    asking = [asyncio.create_task(surveys.within(age).survey()) for age in (0, 10)]
    await asyncio.sleep(0)
    broker.at = 1
    broker.gate.set()
    assert len(await asyncio.gather(*asking)) == 2
    assert broker.looks == 1


async def test_a_failure_is_told_and_not_remembered() -> None:
    broker = Broker()
    reader = Surveys(broker, clock=broker).within(10)
    broker.away = True
    with pytest.raises(BusUnavailable):
        await reader.survey()
    broker.away = False
    assert (await reader.survey()).births == {"loja": BORN}
