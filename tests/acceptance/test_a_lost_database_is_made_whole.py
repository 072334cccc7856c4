"""PostgreSQL comes back without its data, as the evaluation's does when its pod moves: the release
mends itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import aiohttp

from tests.support import load
from tests.support.eventually import eventually
from tests.support.platform import ROLES, Platform, running

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"


async def test_what_is_sold_while_and_after_the_data_was_lost_is_sent(tmp_path: Path) -> None:
    async with (
        running(
            tmp_path / "platform", [SHOP], settings={"SINAL_DATABASE_MAY_BE_LOST": "true"}
        ) as platform,
        aiohttp.ClientSession() as session,
    ):
        await sell(platform, session, "before", 3)
        await platform.settled(session, accepted=3)

        await lose_postgres(platform)
        await sell(platform, session, "while", 3)
        await restarted(platform, "match", "dispatch", "api", "housekeeping")
        await sell(platform, session, "after", 3)
        totals = await platform.settled(session, accepted=6)
        assert (totals["accepted"], totals["dead"]) == (6, 0), (
            "what was sold before is gone with the data"
        )


async def sell(platform: Platform, session: aiohttp.ClientSession, prefix: str, count: int) -> None:
    """Sales of one shop, each accepted."""
    await load.post_until_accepted(
        session, platform.webhook("loja", "hotmart"), load.hotmart_sales(prefix, count)
    )


async def lose_postgres(platform: Platform) -> None:
    """Its data is gone; the server is there again, empty."""
    await platform.postgres.stop()
    shutil.rmtree(platform.folder / "postgres")
    await platform.postgres.start()


async def restarted(platform: Platform, *roles: str) -> None:
    """Each of these ends by itself, as soon as it sees another database, and is started again as a
    cluster would.
    """
    assert set(roles) < set(ROLES)
    for role in roles:
        await eventually(lambda role=role: not platform.roles[role].running)  # type: ignore[misc]
        platform.start_role(role)
