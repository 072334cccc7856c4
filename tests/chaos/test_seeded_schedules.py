"""Seeded schedules of faults under load: everything that was accepted comes to the end that is due
to it.

`SCHEDULES` says how many, `SEED` the first; a failure names its seed and keeps the logs (see
docs/developers/chaos.md).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.support.chaos.play import Play
from tests.support.chaos.schedule import schedule
from tests.support.chaos.stage import Stage

FIRST = int(os.environ.get("SEED", "1"))
COUNT = int(os.environ.get("SCHEDULES", "30"))
MOST_REPEATS = 0.001  # of the deliveries
IN_THE_AIR = 20  # what one unlucky crash may repeat in a run too short for a share

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Theatre:
    """One stage for many schedules; a new one after a failure."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._stage: Stage | None = None
        self.counted: Counter[str] = Counter()  # over the schedules in which Meta hid no answer

    async def stage(self) -> Stage:
        """The stage that stands, or a new one."""
        if self._stage is None:
            self._count += 1
            self._stage = Stage(self._folder / f"stage-{self._count}")
            await self._stage.start()
        return self._stage

    async def close(self) -> None:
        """Stop the stage; its logs stay."""
        if self._stage is not None:
            stage, self._stage = self._stage, None
            await stage.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Theatre]:
    """For all schedules of this process."""
    made = Theatre(tmp_path_factory.mktemp("chaos"))
    yield made
    await made.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
async def test_schedule(theatre: Theatre, seed: int) -> None:
    plan = schedule(seed)
    print(plan)
    stage = await theatre.stage()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            verdict = await Play(stage, session, plan).run()
        print(dict(verdict.counted))
        if not plan.hides_answers:
            theatre.counted += verdict.counted
        assert not verdict.faults, f"{plan}\nlogs: {stage.folder / 'logs'}\n{verdict}"
    except BaseException as error:
        print(f"seed {seed} failed: {error!r}; logs in {stage.folder / 'logs'}")
        await theatre.close()
        raise


async def test_crashes_alone_repeat_next_to_nothing(theatre: Theatre) -> None:
    """A repeat needs a dispatcher that died between Meta and the ledger.

    Docs/developers/chaos.md has figures.
    """
    deliveries, repeats = theatre.counted["deliveries"], theatre.counted["repeats"]
    print(
        f"{repeats} repeats under one id in {deliveries} deliveries of schedules in which Meta "
        "hid no answer"
    )
    assert repeats <= max(MOST_REPEATS * deliveries, IN_THE_AIR)
