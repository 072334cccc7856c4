"""What the edge takes: tracking events a second with a JetStream ack each, at which latency, beside
a floor.

    python bench/ingest.py [--plan floor:3000,edge:3000,pair:5000] [--seconds 4] [--connections 64]
    [--json FILE]

The generator is open-loop: requests are due at fixed times whether or not earlier ones were
answered, and latency counts from when a request was due, so that a stall shows in p99. The floor is
a bare ASGI endpoint that publishes the body as it came, with the edge's own publisher, and waits
for the ack: what is above it is the price of routing, checking, hashing and counting. `edge` is one
process with its spool, one event a request; `pair` are two of them that share the connections, as
two pods behind a Service do; `person` adds personal data to hash; `batch` sends 50 events a request
to one process. Edge, floor and nats-server are processes of their own on this machine, and so is
the generator: what an event costs each of them is told in microseconds of CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report
from bench.support.load import Load
from bench.support.machine import busy_s, cpu_s, percentile

from sinal_core.aio import gc_tuning
from sinal_core.http.server import HttpServer
from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_core.telemetry import logs
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import FunnelPlan, Limits, TenantPlan
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.intake.ids import uuid7

from tests.support.nats_process import NatsProcess

PLAN = [
    ("floor", 3_000),
    ("edge", 3_000),
    ("edge", 5_000),
    ("pair", 5_000),
    ("batch", 5_000),
    ("person", 2_000),
]
TENANT, ORIGIN, BATCH = "bench", "https://curso.example", 50
PAGE = "https://curso.example/p?utm_source=fb&utm_campaign=Nov"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
EVENT: dict[str, object] = {"funnel": "fk_bench", "referrer": "https://l.facebook.com/"}
PERSON = {
    "email": "maria@loja.example",
    "phone": "+55 11 99999-8888",
    "first_name": "Maria",
    "city": "Recife",
}


@dataclass
class Result:
    """One run; latency in ms, counted from when a request was due; CPU in microseconds an event."""

    target: str
    rate: int
    events_per_s: float
    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    edge_us: float
    broker_us: float
    load_us: float
    edge_cores: float
    others_cores: float  # what the machine did beside edge, broker and generator


HEADING = (
    "target     rate  events/s  requests   p50 ms   p99 ms   max ms  failed  edge us  broker us  "
    "load us  cores  others"
)
LINE = (
    "{target:7} {rate:>7} {events_per_s:>9} {requests:>9} {p50_ms:>8} {p99_ms:>8} {max_ms:>8} "
    "{failed:>7} {edge_us:>8} "
    "{broker_us:>10} {load_us:>8} {edge_cores:>6} {others_cores:>7}"
)


def requests_of(target: str, *, different: int = 1) -> tuple[list[bytes], int]:
    """Raw HTTP requests of a target, each of visitors of its own, and the events in one."""
    path, events = ("batch", BATCH) if target == "batch" else ("pageview", 1)
    rng = random.Random(1)

    def visit() -> dict[str, object]:
        fbclid = "IwAR0" + "".join(rng.choices(LETTERS, k=56))
        own = {
            "session_id": f"s{rng.randrange(10**10):010}",
            "fbp": f"fb.1.1700000000000.{rng.randrange(10**10):010}",
        }
        return (
            EVENT
            | own
            | {"url": f"{PAGE}&fbclid={fbclid}"}
            | ({"user": PERSON} if target == "person" else {})
        )

    def body() -> dict[str, object]:
        return (
            {"events": [{"type": "pageview", **visit()} for _ in range(events)]}
            if target == "batch"
            else visit()
        )

    return [_raw(path, json.dumps(body()).encode()) for _ in range(different)], events


def _raw(path: str, body: bytes) -> bytes:
    head = (
        f"POST /t/{TENANT}/api/v1/track/{path} HTTP/1.1\r\nHost: ingest.example\r\nOrigin: "
        f"{ORIGIN}\r\n"
        "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)\r\nAccept: */*\r\n"
        f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def serve(target: str, nats_url: str, spool: Path) -> None:
    """The process under test: prints its URL and runs until SIGTERM."""
    logs.configure(level="warning")
    bus = await Bus.connect(nats_url, name=f"bench-{target}")
    server = floor(bus) if target == "floor" else edge(bus, spool)
    await server.start()
    gc_tuning.tune()  # as every role does
    print(server.url, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop()
    await bus.close()


def edge(bus: Bus, spool: Path | None = None) -> IngestServer:
    """The edge as it runs in production, with one tenant; its limits are counted in the process."""
    funnel = FunnelPlan(
        name="curso",
        type="lead",
        public_key="fk_bench",
        server_key_sha256="",
        landing_hosts=("curso.example",),
    )
    tenant = TenantPlan(
        slug=TENANT,
        namespace="bench",
        name=TENANT,
        uid="bench",
        limits=Limits(events_per_minute=100_000_000),
        funnels=(funnel,),
    )
    settings = ServerSettings(port=0, redis_url=None, spool_dir=spool, drain_s=0)
    return IngestServer(settings, bus, StaticPlans(tenant), keyring=Keyring.generate())


def floor(bus: Bus) -> HttpServer:
    """The least that answers after an ack."""
    subject = names.in_subject(TENANT, "pageview")

    async def app(_: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await bus.publish(subject, body, msg_id=uuid7(int(time.time() * 1000)))
        await send(
            {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body", "body": b""})

    return HttpServer(app, host="127.0.0.1", port=0, protocol="httptools")


@contextmanager
def serving(target: str, nats_url: str) -> Iterator[tuple[list[subprocess.Popen[str]], list[int]]]:
    """The processes under test, and their ports on 127.0.0.1."""
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        try:
            for number in range(2 if target == "pair" else 1):
                command = [
                    sys.executable,
                    __file__,
                    "--serve",
                    target,
                    "--nats",
                    nats_url,
                    "--spool",
                ]
                command.append(f"{folder}/{number}")
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            urls = [one.stdout.readline() if one.stdout is not None else "" for one in processes]
            yield processes, [int(url.strip().rpartition(":")[2]) for url in urls]
        finally:
            for one in processes:
                one.terminate()
            for one in processes:
                one.wait(10)


async def measure(
    target: str, broker: NatsProcess, *, rate: int, seconds: float, connections: int
) -> Result:
    """One target at one rate (events a second)."""
    raw, events = requests_of(target, different=20 if target == "batch" else 500)
    with serving(target, broker.url) as (processes, ports):

        def spent() -> list[float]:
            own = os.times()
            return [
                sum(cpu_s(one.pid) for one in processes),
                cpu_s(broker.pid),
                own.user + own.system,
                busy_s(),
            ]

        warming = Load(lambda number, _: raw[number % len(raw)])
        await warming.run(
            "127.0.0.1", ports, connections=connections, rate=min(500, rate) / events, seconds=0.5
        )
        load, before = Load(lambda number, _: raw[number % len(raw)]), spent()
        took = await load.run(
            "127.0.0.1", ports, connections=connections, rate=rate / events, seconds=seconds
        )
        used, broker_s, own, machine = (
            now - then for now, then in zip(spent(), before, strict=True)
        )
    ordered = sorted(load.latencies)
    sent = len(ordered) * events
    return Result(
        target=target,
        rate=rate,
        events_per_s=round((len(ordered) - load.failed) * events / took),
        requests=len(ordered),
        p50_ms=round(percentile(ordered, 0.5) * 1000, 1),
        p99_ms=round(percentile(ordered, 0.99) * 1000, 1),
        max_ms=round(ordered[-1] * 1000, 1),
        failed=load.failed,
        edge_us=round(used / sent * 1e6),
        broker_us=round(broker_s / sent * 1e6),
        load_us=round(own / sent * 1e6),
        edge_cores=round(used / took, 2),
        others_cores=round(max(0.0, machine - used - broker_s - own) / took, 2),
    )


async def make_stream(nats_url: str) -> None:
    """The tenant's stream; old messages go, so that long runs fit the disk."""
    bus = await Bus.connect(nats_url, name="bench-setup")
    config = {
        "name": names.stream(TENANT),
        "subjects": [names.tenant_subjects(TENANT)],
        "storage": "file",
        "max_msgs": 200_000,
        "duplicate_window": 120 * 10**9,
    }
    await bus.api(f"STREAM.CREATE.{names.stream(TENANT)}", json.dumps(config).encode())
    await bus.close()


async def race(arguments: argparse.Namespace) -> list[Result]:
    """All targets at all rates, one after the other."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        server = NatsProcess(Path(folder))
        server.start()
        try:
            await make_stream(server.url)
            for target, rate in arguments.plan:
                one = await measure(
                    target,
                    server,
                    rate=rate,
                    seconds=arguments.seconds,
                    connections=arguments.connections,
                )
                results.append(one)
                print(LINE.format(**asdict(one)), flush=True)
        finally:
            server.kill()
    return results


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "--plan", type=_plan, default=PLAN, help="target:events a second, one run each"
    )
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--nats", help=argparse.SUPPRESS)
    parser.add_argument("--spool", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve, options.nats, options.spool))
        return
    print(HEADING)
    results = uvloop.run(race(options))
    report.finish("ingest", goals(results), {"results": list(map(asdict, results))}, options.json)


def _plan(text: str) -> list[tuple[str, int]]:
    steps = [step.partition(":") for step in text.split(",")]
    return [(target, int(rate)) for target, _, rate in steps]


def goals(results: list[Result]) -> list[report.Row]:
    """What was taken in time, and how much of the floor's work a core gets done at the same
    rate.
    """
    made = [
        report.goal(
            f"events a second {how}, p99 within 25 ms",
            _in_time(results, target),
            5_000,
            at_least=True,
        )
        for target, how in (
            ("edge", "one a request, one process"),
            ("pair", "one a request, two processes"),
            ("batch", f"{BATCH} a request, one process"),
        )
        if any(one.target == target for one in results)
    ]
    floors = {one.rate: one.edge_us for one in results if one.target == "floor"}
    shares = [
        floors[one.rate] / one.edge_us
        for one in results
        if one.target == "edge" and one.rate in floors
    ]
    if shares:
        share = sorted(shares)[len(shares) // 2]
        made.append(
            report.goal("events a core, of the floor's at the same rate", share, 0.5, at_least=True)
        )
    return made


def _in_time(results: list[Result], target: str) -> float:
    """The highest rate that a target kept up with, with p99 within 25 ms and no failure.

    As offered, if within 1 %.
    """
    kept = [
        one.rate if one.events_per_s >= 0.99 * one.rate else one.events_per_s
        for one in results
        if one.target == target and one.p99_ms <= 25 and not one.failed
    ]
    return max(kept, default=0)


if __name__ == "__main__":
    main()
