"""From a release that knew one envelope and one keyring to this one, role by role, while sales come
in.

The roles of the version before are processes of its own wheel. A new edge, with its part of the
keyring, is not ready before the operator is new; the workers of before go on with the plans that
the new operator seals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from sinal_cli.embedded.process import free_port
from sinal_cli.install import parts

from tests.chart.support import previous
from tests.support.eventually import eventually
from tests.support.platform import ROLES, Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
PARTS = {"operator": "keyring.json", "ingest": "keyring-edge.json"}  # of the others: the runtime's


class Upgraded(Platform):
    """A platform whose roles are of the version before until they are started again as new ones."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [EXAMPLES])
        self.new: set[str] = set()

    def _environment(self, role: str) -> dict[str, str]:
        usual = super()._environment(role)
        if role not in self.new:
            return {**usual, "PYTHONPATH": str(previous.wheel())}
        return {
            **usual,
            "SINAL_KEYRING_FILE": str(self.folder / PARTS.get(role, "keyring-runtime.json")),
        }

    def url(self, role: str) -> str:
        """Where a role answers probes: those of before had one port for everything."""
        return super().url(role) if role in self.new else f"http://127.0.0.1:{self.ports[role]}"

    async def upgrade(self, role: str) -> None:
        """End a role, and start it as this version."""
        await self.roles[role].stop()
        self.new.add(role)
        self.start_role(role)

    async def ready(self, role: str) -> None:
        """Wait until a role says so."""
        await self.roles[role].ready(lambda: self._ready(role))


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Upgraded]:
    made = Upgraded(tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def lead(platform: Upgraded, session: aiohttp.ClientSession, number: int) -> int:
    """One event of a page, sent to whichever edge `platform.ingest` is; its status."""
    key = platform.minted["loja"]["funnels"]["curso"]["public_key"]
    body = {
        "funnel": key,
        "url": "https://loja.example/",
        "event_id": f"e{number}",
        "user": {"email": f"p{number}@loja.example"},
    }
    url = f"{platform.ingest}/t/loja/api/v1/track/lead"
    async with session.post(url, json=body, headers={"Origin": "https://loja.example"}) as answer:
        return answer.status


async def test_nothing_is_lost_or_refused_on_the_way(platform: Upgraded) -> None:
    assert parts(platform.folder / "keyring.json") == 0  # as the chart's Job does before any pod
    async with aiohttp.ClientSession() as session:
        assert await lead(platform, session, 1) == 202
        await platform.settled(session, accepted=1)

        before, port = platform.roles["ingest"], platform.ports["ingest"]
        platform.ports["ingest"] = free_port()  # its probes have another one, as before nobody had
        platform.new.add("ingest")
        platform.start_role("ingest")  # beside the one of before, as a rolling update does
        await eventually(lambda: "plans.awaited" in platform.roles["ingest"].tail(50))
        assert not await platform._ready("ingest")
        fresh, platform.ports["ingest"] = platform.ports["ingest"], port
        # the one of before takes everything meanwhile
        assert await lead(platform, session, 2) == 202

        await platform.upgrade("operator")
        platform.ports["ingest"] = fresh
        await platform.ready("ingest")
        await before.stop()
        assert await lead(platform, session, 3) == 202
        # by workers of before, which read what the new operator seals
        await platform.settled(session, accepted=3)
        assert (await platform.ledger(session))["delivered"] >= 3

        for role in ("match", "dispatch", "api", "housekeeping"):
            await platform.upgrade(role)
        await platform.ready("api")
        assert await lead(platform, session, 4) == 202
        await platform.settled(session, accepted=4)
        assert (await platform.ledger(session))["delivered"] >= 4
    assert platform.new == set(ROLES)
