"""What the edge takes: tracking events a second with a JetStream ack each, at which latency, beside a floor.

    python bench/ingest.py [--rates 1000,3000,5000] [--seconds 10] [--connections 64] [--json FILE]

The generator is open-loop: requests are due at fixed times whether or not earlier ones were answered, and latency
counts from when a request was due, so that a stall shows in p99. The floor is a bare ASGI endpoint that publishes the
body as it came and waits for the ack: what is above it is the price of routing, checking, hashing and counting. Edge,
floor and nats-server are processes of their own on this machine. `person` adds personal data to hash, `batch` sends 50
events a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report
from bench.support.load import Load
from bench.support.machine import busy_s, cpu_s

from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import FunnelPlan, Limits, TenantPlan
from sinal_runtime import collector, logs
from sinal_runtime.bus import Bus
from sinal_runtime.ingest.ids import uuid7
from sinal_runtime.ingest.role import IngestServer
from sinal_runtime.plans.testing import StaticPlans
from sinal_runtime.server import HttpServer
from sinal_runtime.settings import Settings

from tests.support.nats_process import NatsProcess

TENANT, ORIGIN, BATCH = "bench", "https://curso.example", 50
EVENT = {
    "funnel": "fk_bench",
    "url": "https://curso.example/p?utm_source=fb&utm_campaign=Nov&fbclid=IwAR0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
    "referrer": "https://l.facebook.com/",
    "session_id": "s0123456789",
    "fbp": "fb.1.1700000000000.1234567890",
}
PERSON = {"email": "maria@loja.example", "phone": "+55 11 99999-8888", "first_name": "Maria", "city": "Recife"}


@dataclass
class Result:
    """One run; latency in ms, counted from when a request was due."""

    target: str
    rate: int
    events_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    server_cpu: float  # of one core
    machine_cpu: float  # cores of the whole machine: what is beyond generator, server and broker is others' work


def requests_of(target: str) -> tuple[bytes, int]:
    """The raw HTTP request of a target and the events in it."""
    path, events = ("batch", BATCH) if target == "batch" else ("pageview", 1)
    body: dict[str, object] = {**EVENT, "user": PERSON} if target == "person" else {**EVENT}
    if target == "batch":
        body = {"events": [{"type": "pageview", **EVENT}] * BATCH}
    raw = json.dumps(body).encode()
    head = (
        f"POST /t/{TENANT}/api/v1/track/{path} HTTP/1.1\r\nHost: ingest.example\r\nOrigin: {ORIGIN}\r\n"
        "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)\r\nAccept: */*\r\n"
        f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw, events


async def serve(target: str, nats_url: str) -> None:
    """The process under test: prints its URL and runs until SIGTERM."""
    logs.configure(level="warning")
    bus = await Bus.connect(nats_url, name=f"bench-{target}")
    server = floor(bus) if target == "floor" else edge(bus)
    await server.start()
    collector.tune()  # as every role does
    print(server.url, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop()
    await bus.close()


def edge(bus: Bus) -> IngestServer:
    """The edge as it runs in production, with one tenant."""
    funnel = FunnelPlan(
        name="curso", type="lead", public_key="fk_bench", server_key_sha256="", landing_hosts=("curso.example",)
    )
    tenant = TenantPlan(
        slug=TENANT,
        namespace="bench",
        name=TENANT,
        uid="bench",
        limits=Limits(events_per_minute=100_000_000),
        funnels=(funnel,),
    )
    return IngestServer(Settings(port=0, redis_url=None), bus, StaticPlans(tenant), keyring=Keyring.generate())


def floor(bus: Bus) -> HttpServer:
    """The least that answers after an ack."""
    subject = names.in_subject(TENANT, "pageview")

    async def app(_: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await bus.publish(subject, body, msg_id=uuid7(int(time.time() * 1000)))
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return HttpServer(app, host="127.0.0.1", port=0)


def spawn(target: str, nats_url: str) -> tuple[subprocess.Popen[str], str, int]:
    """The process under test, its host and port."""
    command = [sys.executable, __file__, "--serve", target, "--nats", nats_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    host, _, port = process.stdout.readline().strip().removeprefix("http://").partition(":")
    return process, host, int(port)


async def measure(target: str, nats_url: str, *, rate: int, seconds: float, connections: int) -> Result:
    """One target at one rate (events a second)."""
    process, host, port = spawn(target, nats_url)
    try:
        raw, events = requests_of(target)
        await Load(lambda *_: raw).run(host, port, connections=connections, rate=min(500, rate) / events, seconds=1)
        load, before, busy = Load(lambda *_: raw), cpu_s(process.pid), busy_s()
        took = await load.run(host, port, connections=connections, rate=rate / events, seconds=seconds)
        used, machine = cpu_s(process.pid) - before, busy_s() - busy
    finally:
        process.terminate()
        process.wait(10)
    ordered = sorted(load.latencies)
    return Result(
        target=target,
        rate=rate,
        events_per_s=round((len(ordered) - load.failed) * events / took),
        p50_ms=round(ordered[len(ordered) // 2] * 1000, 1),
        p99_ms=round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        max_ms=round(ordered[-1] * 1000, 1),
        failed=load.failed,
        server_cpu=round(used / took, 2),
        machine_cpu=round(machine / took, 2),
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
            for rate in arguments.rates:
                for target in arguments.targets:
                    results.append(
                        await measure(
                            target,
                            server.url,
                            rate=rate,
                            seconds=arguments.seconds,
                            connections=arguments.connections,
                        )
                    )
                    print("{target:8} {rate:>7} {events_per_s:>9} {p50_ms:>8} {p99_ms:>8} {max_ms:>8} {failed:>7} "
                          "{server_cpu:>6} {machine_cpu:>8}".format(**asdict(results[-1])), flush=True)  # fmt: skip
        finally:
            server.kill()
    return results


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--rates", type=lambda text: list(map(int, text.split(","))), default=[1_000, 3_000, 5_000])
    parser.add_argument("--targets", type=lambda text: text.split(","), default=["floor", "edge", "person", "batch"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--nats", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve, options.nats))
        return
    print("target      rate  events/s   p50 ms   p99 ms   max ms  failed    cpu  machine")
    results = uvloop.run(race(options))
    report.finish("ingest", goals(results), {"results": list(map(asdict, results))}, options.json)


def goals(results: list[Result]) -> list[report.Row]:
    """What one process took in time, and how much of the floor's work a core gets done."""
    a_core = {
        target: max(one.events_per_s / one.server_cpu for one in results if one.target == target and one.server_cpu)
        for target in ("floor", "edge")
        if any(one.target == target for one in results)
    }
    made = [
        report.goal(f"events a second {how}, p99 within 25 ms", _in_time(results, target), 5_000, at_least=True)
        for target, how in (("edge", "one a request"), ("batch", f"{BATCH} a request"))
        if any(one.target == target for one in results)
    ]
    if len(a_core) == 2:
        share = a_core["edge"] / a_core["floor"]
        made.append(report.goal("events a core, of the floor's", share, 0.5, at_least=True))
    return made


def _in_time(results: list[Result], target: str) -> float:
    """The highest rate that a target kept with p99 within 25 ms and no failure."""
    kept = [one.events_per_s for one in results if one.target == target and one.p99_ms <= 25 and not one.failed]
    return max(kept, default=0)


if __name__ == "__main__":
    main()
