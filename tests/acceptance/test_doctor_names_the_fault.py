"""`sinal doctor` on a running platform: each fault by its cause, once, and an exit code that a cron
job can use.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.support import load
from tests.support.eventually import PATIENCE_S
from tests.support.platform import ADMIN_KEY, Platform, running

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"
Finding = dict[str, Any]


async def sinal(platform: Platform, *words: str) -> tuple[int, str]:
    """A command as a person runs it: exit code and output."""
    environment = os.environ | {"SINAL_API_URL": platform.api, "SINAL_API_KEY": ADMIN_KEY}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sinal_cli", *words, env=environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, out.decode()


async def faults(platform: Platform, *wanted: tuple[str, str]) -> list[Finding]:
    """What failed, once it is exactly that: areas and subjects.

    With something failed the exit code is 1, else 0.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        code, out = await sinal(platform, "doctor", "--tenant", "loja")
        found = [json.loads(line) for line in out.splitlines()]
        failed = [one for one in found if one["grade"] == "failed"]
        assert code == (1 if failed else 0), out
        if {(one["area"], one["subject"]) for one in failed} == set(wanted):
            assert all(one["advice"] for one in failed), failed
            return failed
        assert asyncio.get_running_loop().time() < deadline, f"never {wanted}: {failed}"


async def meta_refuses_tokens(
    platform: Platform, session: aiohttp.ClientSession, *, refuses: bool
) -> None:
    kinds = [{"kind": "auth", "pixel": "1111111111"}] if refuses else []
    async with session.post(
        f"{platform.sandbox_url}/_sandbox/faults", json={"faults": kinds}
    ) as answer:
        assert answer.status < 300, await answer.text()


async def test_each_fault_is_named_once_and_ends_with_one(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "platform", [SHOP]) as platform,
        aiohttp.ClientSession() as session,
    ):
        webhook = platform.webhook("loja", "hotmart")
        await faults(platform)

        for _ in range(3):
            async with session.post(
                webhook, json={}, headers={"X-HOTMART-HOTTOK": "not-ours"}
            ) as answer:
                assert answer.status == 401
        (refused,) = await faults(platform, ("refusals", "loja: hotmart"))
        assert "its proof does not fit the integration's secret" in refused["advice"]
        code, told = await sinal(platform, "explain", "HP-never-came", "--tenant", "loja")
        assert (
            code == 1
            and "It may be among those that were refused: 3 deliveries of hotmart to loja/hotmart"
            in told
        )

        await load.post_until_accepted(session, webhook, load.hotmart_sales("taken", 1))
        await platform.settled(session, accepted=1)
        await faults(platform)

        await meta_refuses_tokens(platform, session, refuses=True)
        (sale,) = load.hotmart_sales("held", 1)
        await load.post_until_accepted(session, webhook, [sale])
        (token,) = await faults(platform, ("destinations", "loja: pixel"))
        assert (
            "its breaker is open: credential, code 190; Meta says: Error validating"
            in token["detail"]
        )
        code, told = await sinal(platform, "explain", sale[0])
        assert (
            code == 0
            and "Meta refuses the destination's token (code 190)" in told
            and "it is tried next" in told
        )

        await meta_refuses_tokens(platform, session, refuses=False)
        await platform.postgres.stop()
        await faults(platform, ("services", "postgres"))
