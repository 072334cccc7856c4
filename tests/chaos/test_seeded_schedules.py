"""Seeded schedules of faults under load: everything that was accepted comes to the end that is due to it.

`SCHEDULES` says how many, `SEED` the first; a failure names its seed and keeps the logs (see docs/chaos.md).
"""

from __future__ import annotations

import os
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

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Theatre:
    """One stage for many schedules; a new one after a failure."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._stage: Stage | None = None

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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
async def test_schedule(theatre: Theatre, seed: int) -> None:
    plan = schedule(seed)
    print(plan)
    stage = await theatre.stage()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            verdict = await Play(stage, session, plan).run()
        print(dict(verdict.counted))
        assert not verdict.faults, f"{plan}\nlogs: {stage.folder / 'logs'}\n{verdict}"
    except BaseException as error:
        print(f"seed {seed} failed: {error!r}; logs in {stage.folder / 'logs'}")
        await theatre.close()
        raise
