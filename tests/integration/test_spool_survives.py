"""The edge's spool with a real broker, real processes and real disks: what was answered 202
arrives, once, in order.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from nats.aio.client import Client as NatsClient

from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_crds.keyring import Keyring
from sinal_crds.plan import IntegrationPlan
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.ingest.testing import sha256
from sinal_hub.intake import publisher
from sinal_hub.model.events import Event, decode_event
from sinal_hub.quarantine.keeping import open_kept, read_head

from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, TOKEN, a_tenant
from tests.support.nats_process import NatsProcess
from tests.support.probes import ProbedClient, probed
from tests.support.spool_edge import SpoolEdge

LEAD, PAGE = "/api/v1/track/lead", {"origin": LANDING}
KEYRING = Keyring.generate()
StartEdge = Callable[..., SpoolEdge]
HOTMART = IntegrationPlan(
    name="vendas",
    gateway="hotmart",
    funnel="curso",
    token_sha256=sha256(TOKEN),
    credentials={"hottok": SECRET},
)


@asynccontextmanager
async def serving(bus: Bus, spool: Path) -> AsyncIterator[ProbedClient]:
    settings = ServerSettings(port=0, spool_dir=spool, spool_free_bytes=0)
    server = IngestServer(
        settings, bus, StaticPlans(a_tenant(integrations=(HOTMART,))), keyring=KEYRING
    )
    await server.start()
    try:
        async with probed(server) as probes, ProbedClient(server.url, probes) as http:
            yield http
    finally:
        await server.stop()


@pytest.fixture
def start_edge(nats_server: NatsProcess, tmp_path: Path) -> Iterator[StartEdge]:
    """Start the edge as a process on the test's broker and spool."""
    started: list[SpoolEdge] = []

    def start(*, file_limit: int | None = None) -> SpoolEdge:
        edge = SpoolEdge(nats_server.url, tmp_path / "spool", file_limit=file_limit)
        started.append(edge)
        edge.start()
        return edge

    yield start
    for edge in started:
        edge.end(signal.SIGKILL)


async def stored(client: NatsClient) -> list[Event]:
    js = client.jetstream()
    last = (await js.stream_info("T-loja")).state.last_seq
    return [
        decode_event((await js.get_msg("T-loja", seq)).data or b"") for seq in range(1, last + 1)
    ]


async def drained(http: ProbedClient, *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while (state := await http.told())["spooling"]:
        assert time.monotonic() < deadline, state
        await asyncio.sleep(0.05)


async def lead(http: httpx.AsyncClient, event_id: str) -> int:
    return (
        await http.post(LEAD, json={"funnel": PUBLIC_KEY, "event_id": event_id}, headers=PAGE)
    ).status_code


async def test_broker_stops_and_returns_and_every_answered_event_arrives_once_in_order(
    bus: Bus, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    await make_tenant("loja")
    async with serving(bus, tmp_path / "spool") as http:

        async def visitor(name: str) -> None:
            for number in range(60):
                assert await lead(http, f"{name}-{number}") == 202
                await asyncio.sleep(0.02)

        visitors = asyncio.gather(*(visitor(f"v{number}") for number in range(8)))
        await asyncio.sleep(0.3)
        nats_server.kill()
        async with asyncio.timeout(60):
            while not (told := await http.told())["spooling"]:
                await asyncio.sleep(0.02)
        assert (told["ready"], told["nats"]) == (True, False)
        nats_server.start()
        await visitors
        await drained(http)
    ids = [event.event_id or "" for event in await stored(client)]
    assert len(ids) == len(set(ids)) == 480
    for name in range(8):
        mine = [event_id for event_id in ids if event_id.startswith(f"v{name}-")]
        assert mine == [f"v{name}-{number}" for number in range(60)]


async def test_killed_edge_has_lost_nothing_that_it_answered(
    start_edge: StartEdge, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    edge = start_edge()
    nats_server.stop()
    answered: list[str] = []

    async def visitor(http: httpx.AsyncClient, name: str) -> None:
        for number in range(10_000):
            try:
                status = await lead(http, f"{name}-{number}")
            except httpx.HTTPError:
                return  # the edge is gone
            assert status == 202
            answered.append(f"{name}-{number}")

    async with ProbedClient(edge.url, edge.probes) as http:
        visitors = asyncio.gather(*(visitor(http, f"v{number}") for number in range(8)))
        while len(answered) < 300:
            await asyncio.sleep(0.01)
        edge.end(signal.SIGKILL)
        await visitors
    nats_server.start()
    again = start_edge()
    async with ProbedClient(again.url, again.probes) as http:
        await drained(http)
    ids = [event.event_id or "" for event in await stored(client)]
    assert set(answered) <= set(ids) and len(ids) == len(set(ids))
    for name in range(8):
        numbers = [
            int(event_id.partition("-")[2]) for event_id in ids if event_id.startswith(f"v{name}-")
        ]
        assert numbers == list(range(len(numbers)))


async def test_edge_killed_while_it_replays_goes_on(
    start_edge: StartEdge, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    edge = start_edge()
    nats_server.stop()
    async with ProbedClient(edge.url, edge.probes) as http:
        for batch in range(10):
            events = [
                {"type": "pageview", "event_id": f"e{batch * 400 + number}"}
                for number in range(400)
            ]
            answer = await http.post(
                "/api/v1/track/batch", json={"funnel": PUBLIC_KEY, "events": events}, headers=PAGE
            )
            assert answer.status_code == 202
    nats_server.start()
    js = client.jetstream()
    while (await js.stream_info("T-loja")).state.messages == 0:
        await asyncio.sleep(0)
    edge.end(signal.SIGKILL)
    again = start_edge()
    async with ProbedClient(again.url, again.probes, timeout=15) as http:
        await drained(http)
    assert [event.event_id for event in await stored(client)] == [
        f"e{number}" for number in range(4_000)
    ]


async def test_disk_that_takes_no_more_is_503_and_what_was_answered_arrives(
    start_edge: StartEdge,
    nats_server: NatsProcess,
    client: NatsClient,
    make_tenant: MakeTenant,
    tmp_path: Path,
) -> None:
    await make_tenant("loja")
    edge = start_edge(file_limit=20_000)
    nats_server.stop()
    async with ProbedClient(edge.url, edge.probes) as http:
        statuses = [await lead(http, f"e{number}") for number in range(100)]
        assert set(statuses) == {202, 503}
        assert all(path.stat().st_size <= 20_000 for path in (tmp_path / "spool").iterdir())
        nats_server.start()
        await drained(http)
    expected = [f"e{number}" for number, status in enumerate(statuses) if status == 202]
    assert [event.event_id for event in await stored(client)] == expected


async def test_wiped_broker_gets_the_events_once_its_lanes_are_back(
    bus: Bus, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    await make_tenant("loja")
    async with serving(bus, tmp_path / "spool") as http:
        nats_server.wipe()
        assert [await lead(http, f"e{number}") for number in range(20)] == [202] * 20
        asked = await client.subscribe("sinal.provision")
        assert (await asked.next_msg(timeout=60)).data == b"loja"
        await make_tenant("loja")
        await drained(http)
    assert [event.event_id for event in await stored(client)] == [
        f"e{number}" for number in range(20)
    ]


async def test_broker_that_hangs_does_not_make_every_request_wait(
    bus: Bus, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    await make_tenant("loja")
    async with serving(bus, tmp_path / "spool") as http:
        assert await lead(http, "e0") == 202
        with nats_server.held():
            assert (
                await asyncio.gather(*(lead(http, f"slow{number}") for number in range(5)))
                == [202] * 5
            )
            started = time.monotonic()
            assert [await lead(http, f"e{number}") for number in range(1, 50)] == [202] * 49
            assert time.monotonic() - started < 49 * publisher.SPOOL_AFTER_S / 2
        await drained(http)
    ids = [event.event_id or "" for event in await stored(client)]
    assert len(ids) == len(set(ids)) == 55
    assert [event_id for event_id in ids if event_id[0] == "e"] == [
        f"e{number}" for number in range(50)
    ]


async def test_delivery_nobody_understands_waits_sealed_on_disk_and_reaches_quarantine(
    bus: Bus, nats_server: NatsProcess, client: NatsClient, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    await make_tenant("loja")
    raw = b"<new format of maria@loja.example>"
    async with serving(bus, tmp_path / "spool") as http:
        nats_server.stop()
        answer = await http.post(
            f"/api/v1/webhooks/hotmart/{TOKEN}", content=raw, headers={"x-hotmart-hottok": SECRET}
        )
        assert (answer.status_code, answer.json()["quarantined"]) == (202, True)
        assert not [
            path for path in (tmp_path / "spool").iterdir() if b"maria" in path.read_bytes()
        ]
        nats_server.start()
        await drained(http)
    bucket = await client.jetstream().key_value("sinal_quarantine")
    entry = await bucket.get(f"loja.{answer.json()['id']}")
    assert entry.value is not None and open_kept(read_head(entry.value), KEYRING) == raw
