"""`sinal` against a whole stack of processes: a person finds what was given up, sends it again, and
sees it arrive.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.support import load
from tests.support.platform import ADMIN_KEY, Platform, running

SHOP = Path(__file__).parent.parent / "support" / "manifests" / "shop.yaml"
PIXEL = "1111111111"


class Cli:
    """The command line as a process of its own, talking to one API."""

    def __init__(self, platform: Platform, key: str = ADMIN_KEY) -> None:
        self._environment = {**os.environ, "SINAL_API_URL": platform.api, "SINAL_API_KEY": key}

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """A running command."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sinal_cli", *words, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str) -> tuple[int, list[Any], str]:
        """Exit code, JSON lines, and what it said on standard error."""
        process = await self.start(*words)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return (
            process.returncode or 0,
            [msgspec.json.decode(line) for line in out.splitlines()],
            err.decode(),
        )


async def refuse_everything(session: aiohttp.ClientSession, platform: Platform) -> None:
    """Meta refuses every event of the pixel, as it does an invalid one."""
    fault = {"kind": "error", "pixel": PIXEL, "code": 100, "subcode": 2804019}
    async with session.post(
        f"{platform.sandbox_url}/_sandbox/faults", json={"faults": [fault]}
    ) as answer:
        assert answer.status < 300, await answer.text()


async def forgive(session: aiohttp.ClientSession, platform: Platform) -> None:
    """Meta takes events again."""
    async with session.post(
        f"{platform.sandbox_url}/_sandbox/faults", json={"faults": []}
    ) as answer:
        assert answer.status < 300, await answer.text()


async def test_a_person_replays_what_meta_refused_and_sees_it_delivered(tmp_path: Path) -> None:
    async with running(tmp_path, [SHOP]) as platform, aiohttp.ClientSession() as session:
        sinal = Cli(platform)
        tailing = await sinal.start("events", "tail", "--outcome", "delivered", "--limit", "3")
        await refuse_everything(session, platform)
        sales = load.hotmart_sales("cli", 3)
        await load.post_until_accepted(session, platform.webhook("loja", "hotmart"), sales)
        totals = await platform.settled(session, accepted=3)
        assert totals["dead"] == 3

        code, groups, _ = await sinal("dead-letters", "list")
        assert code == 0
        assert [
            (g["tenant"], g["reason"], g["code"], g["subcode"], g["count"]) for g in groups
        ] == [("loja", "rejected", 100, 2804019, 3)]
        code, events, _ = await sinal("events", "list", "--outcome", "dead", "--tenant", "loja")
        assert (code, len(events)) == (0, 3)

        code, (dry,), _ = await sinal("replay", "--tenant", "loja", "--since", "1h", "--dry-run")
        assert (code, dry["matched"], dry["replayed"]) == (0, 3, 3)
        assert (await platform.ledger(session))["dead"] == 3

        await forgive(session, platform)
        code, (one,), _ = await sinal("replay", events[0]["id"])
        assert (code, one["replayed"]) == (0, 1)
        code, (rest,), _ = await sinal("dead-letters", "replay", "--code", "100")
        assert (code, rest["replayed"]) == (0, 2)
        totals = await platform.settled(session, accepted=3)
        assert (totals["delivered"], totals["dead"]) == (3, 0)
        at_meta = await load.purchases(session, platform.sandbox_url, PIXEL)
        assert sorted(sum(ids.values()) for ids in at_meta.values()) == [1, 1, 1]

        code, (shown,), _ = await sinal("events", "show", events[0]["id"])
        (delivery,) = shown["deliveries"]
        # the refused batch was bisected
        codes = [attempt["code"] for attempt in delivery["attempts"]]
        assert (set(codes[:-1]), codes[-1]) == ({100}, None)
        assert delivery["state"] == "delivered"
        assert (await sinal("dead-letters", "list"))[1] == []

        out, _ = await asyncio.wait_for(tailing.communicate(), 60)
        tailed = {msgspec.json.decode(line)["id"] for line in out.splitlines()}
        assert tailed == {event["id"] for event in events}

        code, findings, _ = await sinal("doctor", "--tenant", "loja")
        assert code == 0, findings
        areas = {one["area"] for one in findings}
        assert areas == {"services", "plans", "lanes", "destinations", "clocks", "tokens"}
        assert [one for one in findings if one["grade"] != "ok"] == []

        await wrong_calls(sinal, platform, events[0]["id"])


async def wrong_calls(sinal: Cli, platform: Platform, event: str) -> None:
    """Refusals exit 1, wrong usage and no API exit 2.

    All with one line that helps and no traceback.
    """
    for words, expected, said in (
        (("replay", event), 1, "force"),
        (("events", "show", "ev_nothing"), 1, "no event"),
        (("review", "accept", event), 1, "not in review"),
        (("replay",), 2, "filter"),
        (("dead-letters", "replay"), 2, "--all"),
        (("events", "list", "--api", "http://127.0.0.1:1"), 2, "SINAL_API_URL"),
        (("events", "list", "--outcome", "lost"), 2, "lost"),
    ):
        code, lines, err = await sinal(*words)
        assert (code, lines) == (expected, []), (words, err)
        assert said in err and "Traceback" not in err, (words, err)
    code, _, err = await Cli(platform, key="sak_wrong")("events", "list")
    assert code == 1 and "key" in err and "sak_wrong" not in err


async def test_a_running_up_tells_the_command_line_where_it_is_and_takes_funnels(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    up = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sinal_cli", "up", "--file", str(SHOP), "--data", str(data),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        ready = await _ready(up, data / "ready.json")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SINAL_")
        }
        doctor = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sinal_cli", "doctor", "--data", str(data),
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(doctor.communicate(), 60)
        assert doctor.returncode == 0, (out, err)
        headers = {"Authorization": f"Bearer {ready['admin_key']}"}
        body = {
            "tenant": "loja",
            "name": "novo",
            "spec": {"landingHosts": ["n.example"], "destinationRefs": ["pixel"]},
        }
        async with aiohttp.ClientSession(ready["api"], headers=headers) as session:
            async with session.post("/api/v1/funnels", json=body) as answer:
                assert answer.status == 201, await answer.text()
            await _funnel_works(session, "novo")
    finally:
        if up.returncode is None:
            up.terminate()
        _, err = await asyncio.wait_for(up.communicate(), 60)
    assert up.returncode == 0, err.decode()
    assert not (data / "ready.json").exists()


async def _ready(up: asyncio.subprocess.Process, file: Path) -> dict[str, Any]:
    for _ in range(1_200):
        if file.exists():  # noqa: ASYNC240
            found: dict[str, Any] = msgspec.json.decode(file.read_bytes())  # noqa: ASYNC240
            return found
        assert up.returncode is None, "the stack ended while starting"
        await asyncio.sleep(0.1)
    raise TimeoutError("the stack is not ready")


async def _funnel_works(session: aiohttp.ClientSession, name: str) -> None:
    for _ in range(600):
        async with session.get("/api/v1/funnels") as answer:
            if name in [funnel["name"] for funnel in (await answer.json())["funnels"]]:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"no plan has the funnel {name}")
