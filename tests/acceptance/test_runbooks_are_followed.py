"""Runbooks followed in the very trouble that they are about: their commands work and show what the
page says they show.

A platform of processes stands for the cluster: `kubectl logs` reads a role's log there, a pod's
port is the process's. What asks the API server itself is followed in tests/cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import nats

from sinal_crds import names

from tests.support import load, runbooks
from tests.support.eventually import PATIENCE_S
from tests.support.platform import ADMIN_KEY, Platform, running
from tests.support.runbooks import Step

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"
# `kubectl logs` of this platform: the pods that a selector names are the roles' log files.
KUBECTL = r"""#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	-n | logs) [ "$1" = logs ] || shift ;;
	-l) roles=$(echo "$2" | sed -E 's/.*component( in \(|=)//; s/\)//; s/,/ /g'); shift ;;
	--tail=*) lines=${1#--tail=} ;;
	*) roles=$1 ;;
	esac
	shift
done
for role in $roles; do tail -n "${lines:-10}" "LOGS/$role.log" || exit 1; done
"""
AT_ONCE = 3  # commands, each a process
# Nothing of it on a laptop: objects and pods are the cluster's, and these programs have no process
# here.
ELSEWHERE = (
    "component=backup",
    "component=metrics-adapter",
    "component=nats",
    "component=operator",
)


@dataclass(frozen=True)
class Sight:
    """What a step has to show, in words that the page points at; `code` is its exit code."""

    shows: Sequence[str] = ()
    code: int = 0
    why_empty: str = ""


# By page, by the beginning of the command; a step that isn't named has to end with 0 and to show
# something.
META: Mapping[str, Mapping[str, Sight]] = {
    "SinalBacklogOld": {"sinal doctor": Sight(["lanes"], code=1)},
    "SinalBreakerOpen": {
        "kubectl": Sight(['"why": "retry"', '"destination": "pixel-agencia"']),
        "sinal doctor": Sight(["vizinha: pixel-agencia", "its breaker is", ": retry"], code=1),
    },
    "SinalDeadLettersGrow": {
        "sinal dead-letters list": Sight(["rejected", "2804019", "sample"]),
        "sinal events show": Sight(['"attempts"', "2804019"]),
        "sinal events list": Sight(['"dead"']),
        "sinal dead-letters replay": Sight(['"replayed":6']),
    },
    "SinalDestinationMisconfigured": {"sinal doctor": Sight(["its breaker is"], code=1)},
    "SinalDispatchBudgetBurn": {
        "sinal doctor": Sight(["tokens"], code=1),
        "kubectl": Sight(["destination.breaker"]),
        "sinal events list": Sight(["in_flight"]),
    },
    "SinalEventsExpireSoon": {
        "sinal doctor": Sight(["its breaker is"], code=1),
        "sinal events list": Sight(["received_at", "in_flight"]),
    },
    "SinalGatewayDrift": {
        "kubectl": Sight(['"what": "unreadable"', '"what": "unknown_status"']),
        "sinal quarantine list": Sight(["the body is not valid JSON"]),
        "sinal events list": Sight(['"status":"ignored"']),
    },
    "SinalLatencyBudgetBurn": {"sinal doctor": Sight(["lanes"], code=1)},
    "SinalLedgerDifference": {
        "kubectl": Sight(
            code=1,
            why_empty="nothing is lost here; tests/integration/test_housekeeping_ledger.py "
            "breaks it",
        )
    },
    "SinalLossBudgetBurn": {
        "sinal dead-letters list": Sight(["internal_error"]),
        "kubectl": Sight(["match.gave_up"]),
    },
    "SinalSignalCoverageFalls": {
        "sinal events list": Sight(['"match"']),
        "sinal events show": Sight(['"signals"']),
        "sinal quarantine list": Sight(["hotmart"]),
    },
    "SinalTenantSilent": {
        "sinal events list": Sight(["received_at"]),
        "curl": Sight(["200 OK", "text/javascript"]),
    },
    "SinalTokenInvalid": {
        "sinal doctor": Sight(
            [
                "loja: pixel",
                "its breaker is",
                ": credential, code 190",
                "Meta says: Error validating",
            ],
            code=1,
        )
    },
    "nats-restart": {"sinal doctor": Sight(["plans", "lanes"], code=1)},
    "leaked-key": {"curl": Sight(['"keys"'])},
    "leaked-webhook-url": {"sinal events list": Sight(["received_at"])},
}
NO_NATS: Mapping[str, Mapping[str, Sight]] = {
    "SinalHeartbeatMissing": {
        "sinal doctor": Sight(['"subject":"nats","grade":"failed"'], code=1),
        "kubectl": Sight(["bus.connection_lost"]),
    },
    "SinalIngestBudgetBurn": {
        "kubectl": Sight(["bus.connection_lost"]),
        "curl": Sight(['"nats":false', '"spooling":true']),
    },
    "SinalQueueFiguresOld": {"kubectl": Sight(["queue depths"])},
    "SinalSpoolFillsUp": {"curl": Sight(["sinal_spool_bytes", "sinal_spool_limit_bytes"])},
    "SinalSpoolInUse": {
        "curl": Sight(['"nats":false', '"spooling":true']),
        "kubectl": Sight(["bus.connection_lost"]),
    },
}
WITHOUT_POSTGRES: Mapping[str, Sight] = {
    "kubectl": Sight(["chore.unavailable"]),
    "sinal doctor": Sight(['"subject":"postgres","grade":"failed"'], code=1),
}
NO_POSTGRES: Mapping[str, Mapping[str, Sight]] = {
    page: WITHOUT_POSTGRES for page in ("SinalChoreStale", "postgres-lost", "postgres-disk-full")
}
TROUBLES = (META, NO_NATS, NO_POSTGRES)


def steps(page: str) -> list[Step]:
    """What a laptop can follow of a page; a command about one event needs that event's trouble."""
    path = runbooks.PAGES / f"{page}.md"
    every = runbooks.first_steps(path) + [
        step for step in runbooks.further_steps(path) if "dry-run" in step.command
    ]
    return [step for step in every if here(step)]


def here(step: Step) -> bool:
    """Whether a platform of processes can answer it."""
    if any(word in step.command for word in ELSEWHERE):
        return False
    return step.command.startswith(("sinal ", "curl ")) or step.reads_logs


def test_every_page_with_a_step_for_a_laptop_is_followed() -> None:
    followed = {page for trouble in TROUBLES for page in trouble}
    assert followed == {page.stem for page in runbooks.pages() if steps(page.stem)}


class Reader:
    """Somebody at night, with a shell."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        (folder / "bin").mkdir()
        program = folder / "bin" / "kubectl"
        program.write_text(KUBECTL.replace("LOGS", str(platform.folder / "logs")))
        program.chmod(0o755)
        sinal = folder / "bin" / "sinal"
        sinal.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sinal_cli "$@"\n')
        sinal.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "SINAL_API_URL": platform.api,
            "SINAL_API_KEY": ADMIN_KEY,
        }
        self._looks: dict[str, asyncio.Task[tuple[int, str]]] = {}
        self._hands = asyncio.Semaphore(AT_ONCE)
        key = platform.minted["loja"]["funnels"]["curso"]["public_key"]
        self._words = {
            "http://POD:8081": platform.url("ingest"),
            "https://HOST": platform.ingest,
            "PUBLIC_KEY": key,
            "logs POD": "logs ingest",
            "GATEWAY": "hotmart",
            "http://127.0.0.1:8083": platform.url("ingest"),
        }

    async def follow_all(
        self,
        pages: Mapping[str, Mapping[str, Sight]],
        *,
        tenants: Mapping[str, str] | None = None,
        event: str = "",
    ) -> list[str]:
        """What was not as the pages say.

        Those without a tenant of their own are read for `loja`.
        """
        chosen = tenants or {}
        found = await asyncio.gather(
            *(
                self.follow(page, sights, tenant=chosen.get(page, "loja"), event=event)
                for page, sights in pages.items()
            )
        )
        return [line for part in found for line in part]

    async def follow(
        self, page: str, sights: Mapping[str, Sight], *, tenant: str, event: str = ""
    ) -> list[str]:
        """What was not as the page says, a text each."""
        words = {**self._words, "TENANT": tenant, "ID": event}
        return [
            f"{step}\n  ended with {code}, wanted {sight}\n{said}"
            for step in steps(page)
            for sight in [_sight(step, sights)]
            for code, said in [await self.look(step.filled(words))]
            if code != sight.code
            or not (said or sight.why_empty)
            or any(word not in said for word in sight.shows)
        ]

    async def try_laptop(self) -> list[str]:
        """Commands for a laptop that fail by themselves: a `doctor` that finds something and an
        empty list do not.
        """
        commands = {
            step.filled(self._words)
            for page in runbooks.pages()
            for step in runbooks.laptop_steps(page)
        }
        asked = sorted(
            c for c in commands if c.startswith(("sinal ", "curl ")) and "manifests" not in c
        )
        done = await asyncio.gather(*map(self.look, asked))
        return [
            f"{command}: {said}"
            for command, (code, said) in zip(asked, done, strict=True)
            if code > 1 or "Traceback" in said
        ]

    async def look(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command line that only looks: once, however many pages
        name it.
        """
        if command not in self._looks:
            self._looks[command] = asyncio.create_task(self._at_hand(command))
        return await self._looks[command]

    async def _at_hand(self, command: str) -> tuple[int, str]:
        async with self._hands:
            return await self.run(command)

    async def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command line."""
        process = await asyncio.create_subprocess_shell(
            command,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, out.decode()


def _sight(step: Step, sights: Mapping[str, Sight]) -> Sight:
    return next(
        (sight for beginning, sight in sights.items() if step.command.startswith(beginning)),
        Sight(),
    )


async def trouble_at_meta(platform: Platform, session: aiohttp.ClientSession) -> None:
    """A dead token, a pixel that fails, one that refuses every event.

    Deliveries that nobody understands.
    """
    faults: list[dict[str, object]] = [
        {"kind": "auth", "pixel": "1111111111"},
        {"kind": "error", "pixel": "2222222222", "code": 100, "subcode": 2804019},
    ]
    await set_faults(platform, session, faults)
    await sell(platform, session, "vizinha", "hotmart-vizinha", "dead", 3)
    # These three are given up by one pixel and delivered to the other: they are `dead`, and wait
    # for nobody.
    await platform.settled(session, accepted=3)
    await set_faults(platform, session, [*faults, {"kind": "status_500", "pixel": "3333333333"}])
    await sell(platform, session, "vizinha", "hotmart-vizinha", "held", 3)
    await sell(platform, session, "loja", "hotmart", "held", 3)
    (order, sale), *_ = load.hotmart_sales("odd", 1)
    odd = json.dumps({**json.loads(sale.body), "event": "PURCHASE_SOMETHING_NEW"}).encode()
    for body in (odd, b"{not json"):
        delivery = replace(sale, body=body)
        await load.post_until_accepted(
            session, platform.webhook("loja", "hotmart"), [(order, delivery)]
        )
    client = await nats.connect(platform.nats.url, connect_timeout=60)
    await client.publish(names.in_subject("loja", "click"), b"no event at all")
    await client.close()


async def set_faults(
    platform: Platform, session: aiohttp.ClientSession, faults: list[dict[str, object]]
) -> None:
    """What Meta does wrong from now on."""
    async with session.post(
        f"{platform.sandbox_url}/_sandbox/faults", json={"faults": faults}
    ) as answer:
        assert answer.status < 300, await answer.text()


async def sell(
    platform: Platform,
    session: aiohttp.ClientSession,
    tenant: str,
    integration: str,
    prefix: str,
    count: int,
) -> None:
    """Sales of a shop."""
    sales = load.hotmart_sales(prefix, count)
    await load.post_until_accepted(session, platform.webhook(tenant, integration), sales)


async def test_each_page_shows_the_trouble_at_meta(tmp_path: Path) -> None:
    async with troubled(tmp_path) as (platform, session, reader):
        await trouble_at_meta(platform, session)
        dead = json.loads(
            await said(reader, "sinal dead-letters list --tenant vizinha", "2804019")
        )["sample"][0]
        await said(reader, "sinal doctor", "its breaker is", ": retry", ": credential")
        await said(reader, "sinal dead-letters list", "internal_error")
        of_the_agency = ("SinalBreakerOpen", "SinalDeadLettersGrow")
        wrong = (
            await reader.follow_all(
                META, tenants={page: "vizinha" for page in of_the_agency}, event=dead
            )
            + await reader.try_laptop()
        )
        assert not wrong, "\n\n".join(wrong)


async def test_each_page_shows_that_nats_is_away(tmp_path: Path) -> None:
    async with troubled(tmp_path) as (platform, session, reader):
        platform.nats.kill()
        await sell(platform, session, "loja", "hotmart", "spooled", 3)
        await said(
            reader, f"grep 'queue depths' {platform.folder}/logs/housekeeping.log", "queue depths"
        )
        wrong = await reader.follow_all(NO_NATS)
        assert not wrong, "\n\n".join(wrong)


async def test_each_page_shows_that_postgres_is_away(tmp_path: Path) -> None:
    async with troubled(tmp_path) as (platform, _, reader):
        await platform.postgres.stop()
        await said(
            reader, f"grep chore {platform.folder}/logs/housekeeping.log", "chore.unavailable"
        )
        wrong = await reader.follow_all(NO_POSTGRES)
        assert not wrong, "\n\n".join(wrong)


@asynccontextmanager
async def troubled(folder: Path) -> AsyncIterator[tuple[Platform, aiohttp.ClientSession, Reader]]:
    """A platform of two shops, where something goes wrong, and who looks at it."""
    settings = {"SINAL_SPOOL_DIR": str(folder / "spool"), "SINAL_GRAPH_TIMEOUT_S": "1"}
    async with (
        running(folder / "platform", [SHOP], settings=settings) as platform,
        aiohttp.ClientSession() as session,
    ):
        yield platform, session, Reader(folder, platform)


async def said(reader: Reader, command: str, *words: str) -> str:
    """What a command says once it has these words."""
    output = ""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not all(word in output for word in words):
        assert asyncio.get_running_loop().time() < deadline, (
            f"{command} never said {words}: {output}"
        )
        # a command is a process: who asks without a pause takes the processor from the roles
        await asyncio.sleep(0.1)
        _, output = await reader.run(command)
    return output
