"""A real Prometheus scrapes a real platform under load: every query of every dashboard returns
data.

What is empty while all is well is shown to have data once the fault is there that it tells of. Not
asked here: what only the operator of a cluster, the metrics adapter or kube-state-metrics serve:
tests/cluster asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import nats

from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_hub.quarantine.shares import MAX_BYTES

from tests.support.load import HOTTOK, hotmart_sales
from tests.support.panels import asked
from tests.support.platform import ROLES, Platform, running
from tests.support.prometheus import Prometheus, Seen

CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SUPPORT = Path(__file__).parents[1] / "support" / "manifests"
VARIABLES = {"__rate_interval": "15s", "__range": "5m", "tenant": "loja", "destination": ".*"}
PAST = (" offset 1d", " offset 7d")  # the same query without it is asked here
LATE = "sinal_signal_coverage"  # counted once a minute
NOTICES = """
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: avisos}
spec: {tenantRef: loja, funnelRef: curso, gateway: mercadopago, credentialsSecretRef: {name: mp}}
---
apiVersion: v1
kind: Secret
metadata: {name: mp}
stringData: {webhookSecret: s, accessToken: APP_USR-1}
"""
SETTINGS = {
    "SINAL_GRAPH_TIMEOUT_S": "1",
    "SINAL_READBACK_URLS": '{"mercadopago": "http://127.0.0.1:1"}',
    "SINAL_READBACK_TIMEOUT_S": "0.5",
}


class Shops:
    """Two shops that go on selling, whatever happens, and say now and then what nobody
    understands.
    """

    def __init__(self, platform: Platform, session: aiohttp.ClientSession) -> None:
        self._platform, self._session = platform, session
        self._round = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            self._round += 1
            await asyncio.gather(
                *(self._quietly(work) for work in (self._sell, self._browse, self._notify))
            )
            await asyncio.sleep(0.3)

    async def _sell(self) -> None:
        for tenant, integration in (("loja", "hotmart"), ("vizinha", "hotmart-vizinha")):
            for _, delivery in hotmart_sales(f"{tenant[0]}{self._round}", 3):
                await self._post(
                    self._platform.webhook(tenant, integration), delivery.body, delivery.headers
                )

    async def _browse(self) -> None:
        key = self._platform.minted["loja"]["funnels"]["curso"]["public_key"]
        body = {"funnel": key, "url": "https://loja.example/?fbclid=abc", "value": "a lot"}
        body[f"typing_error_{self._round}"] = "1"
        url = f"{self._platform.ingest}/t/loja/api/v1/track/pageview"
        headers = {"Origin": "https://loja.example", "Content-Type": "text/plain"}
        await self._post(url, json.dumps(body).encode(), headers)
        await self._post(url, json.dumps(body).encode(), {**headers, "User-Agent": CRAWLER})
        odd = {
            "event": f"PURCHASE_SOMETHING_{self._round}",
            "id": str(self._round),
            "version": "2.0.0",
            "data": {},
        }
        hook = self._platform.webhook("loja", "hotmart")
        await self._post(hook, json.dumps(odd).encode(), {"X-HOTMART-HOTTOK": HOTTOK})

    async def _notify(self) -> None:
        """A notice of Mercado Pago that has to be read back, from an API that is not there."""
        payment = str(1_000_000 + self._round)
        stamp = int(time.time())
        signature = hmac.new(
            b"s", f"id:{payment};request-id:r1;ts:{stamp};".encode(), hashlib.sha256
        ).hexdigest()
        body = {
            "id": self._round,
            "live_mode": True,
            "type": "payment",
            "action": "payment.updated",
        }
        body |= {
            "data": {"id": payment},
            "date_created": "2026-08-01T12:00:00Z",
            "user_id": 1,
            "api_version": "v1",
        }
        url = f"{self._platform.webhook('loja', 'avisos')}?data.id={payment}&type=payment"
        headers = {"x-signature": f"ts={stamp},v1={signature}", "x-request-id": "r1"}
        await self._post(url, json.dumps(body).encode(), headers)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        async with self._session.post(url, data=body, headers=headers) as answer:
            await answer.read()

    @staticmethod
    async def _quietly(work: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await work()


@contextlib.asynccontextmanager
async def watched(
    folder: Path, program: str
) -> AsyncIterator[tuple[Platform, Prometheus, aiohttp.ClientSession]]:
    """A platform with two shops that sell, and Prometheus over all its roles."""
    (folder / "notices.yaml").write_text(NOTICES)
    settings = {**SETTINGS, "SINAL_SPOOL_DIR": str(folder / "spool")}
    async with (
        running(
            folder / "platform", [SUPPORT / "shop.yaml", folder / "notices.yaml"], settings=settings
        ) as platform,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        targets = [platform.url(role).removeprefix("http://") for role in ROLES]
        prometheus = Prometheus(program, folder / "prometheus", targets)
        selling = asyncio.create_task(Shops(platform, session).run())
        try:
            await prometheus.start()
            yield platform, prometheus, session
        finally:
            selling.cancel()
            await asyncio.gather(selling, return_exceptions=True)
            await prometheus.stop()


async def break_things(
    platform: Platform, prometheus: Prometheus, session: aiohttp.ClientSession, seen: Seen
) -> None:
    """Faults of all kinds, each until its panels show it.

    In the end everything runs again but for Meta.
    """
    faults = [
        {"kind": "auth", "pixel": "1111111111"},
        {"kind": "accept_then_hang", "pixel": "2222222222", "delay_ms": 3000, "probability": 0.5},
        {"kind": "status_500", "pixel": "3333333333", "probability": 0.5},
    ]
    async with session.post(
        f"{platform.sandbox_url}/_sandbox/faults", json={"faults": faults}
    ) as answer:
        assert answer.status < 300
    async with asyncio.TaskGroup() as group:
        spoiling = group.create_task(spoil(platform))
        for word in ("sinal_breaker", "sinal_dead_letters", "sinal_capi"):
            await seen.all_with(word)
        spoiling.cancel()

    await fill_quarantine(platform, session)
    await seen.all_with("sinal_quarantine_full")

    await rotate_mint_key(platform)
    await seen.all_with("earlier_keys")

    platform.kill_role("match")
    await seen.all_with("sinal_queue")
    platform.start_role("match")

    os.kill(platform.nats.pid, signal.SIGSTOP)  # it keeps its connections and answers nobody
    try:
        await seen.all_with("unanswered")
    finally:
        os.kill(platform.nats.pid, signal.SIGCONT)

    platform.nats.kill()
    await prometheus.until(session, "sum(sinal_spool_events) > 0")
    await seen.all_with("sinal_spool")
    await platform.nats.start()
    await prometheus.until(session, "sum(sinal_spool_events) == 0")
    # The queue goes with all that is in it: what waits for the dead token is only in PostgreSQL
    # now.
    client = await nats.connect(platform.nats.url, connect_timeout=60)
    await client.jetstream().delete_stream(names.stream("loja"))
    await client.close()


async def fill_quarantine(platform: Platform, session: aiohttp.ClientSession) -> None:
    """Bodies that nobody understands and nothing makes smaller, for more than a tenant's share."""
    hook, headers = platform.webhook("loja", "hotmart"), {"X-HOTMART-HOTTOK": HOTTOK}
    body = os.urandom(1_000_000)
    for _ in range(MAX_BYTES // len(body) + 2):
        async with session.post(hook, data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()


async def rotate_mint_key(platform: Platform) -> None:
    """The shops go on with what the key before made; roles read their keyring when they start."""
    path = platform.folder / "keyring.json"
    path.write_bytes(
        Keyring.from_json(path.read_bytes()).rotate_mint(now=int(time.time())).to_json()
    )
    for role in ("operator", "ingest"):
        platform.kill_role(role)
        platform.start_role(role)


async def spoil(platform: Platform) -> None:
    """For ever, publish what is not an event."""
    client = await nats.connect(platform.nats.url, connect_timeout=60)
    try:
        while True:
            await client.publish(names.in_subject("loja", "click"), b"no event at all")
            await asyncio.sleep(1)
    finally:
        await client.close()


async def test_every_query_of_every_dashboard_returns_data(
    tmp_path: Path, prometheus_program: str
) -> None:
    queries = [
        one
        for one in asked(VARIABLES)
        if not one.of_the_cluster and not any(past in one.query for past in PAST)
    ]
    assert len(queries) > 60
    async with watched(tmp_path, prometheus_program) as (platform, prometheus, session):
        # the operator reads it again, and has something to do while it is watched
        (tmp_path / "notices.yaml").touch()
        always = Seen(prometheus, session, [one for one in queries if not one.empty])
        await always.all_with(but=LATE)
        faulty = Seen(prometheus, session, [one for one in queries if one.empty])
        await break_things(platform, prometheus, session, faulty)
        await faulty.all_with()
        await always.all_with()


def test_what_is_compared_with_the_past_is_asked_for_the_present() -> None:
    """Nothing here is a week old; but for the offset it is the same query."""
    queries = {one.query for one in asked(VARIABLES)}
    past = [query for query in queries if any(word in query for word in PAST)]
    assert len(past) == 2
    assert all(query.replace(PAST[0], "").replace(PAST[1], "") in queries for query in past)
