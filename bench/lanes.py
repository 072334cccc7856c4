"""What many lanes cost: idle CPU, the rate over all of them, and the delay of a quiet tenant beside
a flood.

    python bench/lanes.py [--lanes 1000] [--idle-s 20] [--messages 20000]

Starts its own nats-server, provisions the tenants, and prints one JSON object. CPU is this
process's and the server's share of one core; the promise is at most 2 % of a core for 1,000 idle
lanes in the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import nats

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sinal_core.nats import Bus, Lane, Lanes, Message, Outgoing, match_lane
from sinal_crds.keyring import Keyring
from sinal_crds.plan import Limits, TenantPlan
from sinal_operator.provision import Provisioner

from tests.support.nats_process import NatsProcess


def own_cpu_s() -> float:
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def server_cpu_s(pid: int) -> float:
    """CPU seconds of the server."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sink:
    """A handler that acks everything, slowly where asked, and remembers delays."""

    def __init__(self) -> None:
        self.seen = 0
        self.work_s = 0.0
        self.delays: dict[str, list[float]] = {}

    async def handle(self, lane: Lane, messages: list[Message]) -> None:
        """Ack each message after `work_s`."""
        for message in messages:
            if self.work_s:
                await asyncio.sleep(self.work_s)
            self.delays.setdefault(lane.tenant, []).append(time.time() - message.stored_at_ns / 1e9)
            await message.ack()
        self.seen += len(messages)

    async def until(self, count: int) -> None:
        """Wait until so many messages were handled."""
        while self.seen < count:  # noqa: ASYNC110 - a bench has no one to set an event
            await asyncio.sleep(0.005)


async def idle(server: NatsProcess, seconds: float) -> dict[str, float]:
    """CPU while nothing happens."""
    began, own, theirs = time.monotonic(), own_cpu_s(), server_cpu_s(server.pid)
    await asyncio.sleep(seconds)
    span = time.monotonic() - began
    return {
        "worker_cpu_percent": round(100 * (own_cpu_s() - own) / span, 2),
        "server_cpu_percent": round(100 * (server_cpu_s(server.pid) - theirs) / span, 2),
    }


async def rate(bus: Bus, sink: Sink, lanes: int, messages: int) -> dict[str, float]:
    """Publish and work off messages spread over all lanes."""
    sink.seen, sink.delays = 0, {}
    began = time.monotonic()
    for start in range(0, messages, 1_000):
        await bus.publish_many(
            [
                Outgoing(f"t.t{n % lanes}.in.click", b"x" * 300, f"rate-{n}")
                for n in range(start, start + 1_000)
            ]
        )
    published = time.monotonic()
    await sink.until(messages)
    done = time.monotonic()
    delays = sorted(delay for each in sink.delays.values() for delay in each)
    return {
        "published_per_s": round(messages / (published - began)),
        "end_to_end_per_s": round(messages / (done - began)),
        "p50_ms": round(1_000 * delays[len(delays) // 2], 1),
        "p99_ms": round(1_000 * delays[int(len(delays) * 0.99)], 1),
    }


async def fairness(bus: Bus, sink: Sink) -> dict[str, float]:
    """One tenant has 5,000 queued at 1 ms each; another's events come in between."""
    sink.work_s, sink.delays, sink.seen = 0.001, {}, 0
    for start in range(0, 5_000, 1_000):
        await bus.publish_many(
            [Outgoing("t.t0.in.click", b"x", f"flood-{n}") for n in range(start, start + 1_000)]
        )
    for n in range(10):
        await bus.publish("t.t1.in.sale", b"x", msg_id=f"calm-{n}")
        await asyncio.sleep(0.1)
    while len(sink.delays.get("t1", ())) < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    left = 5_000 - len(sink.delays["t0"])
    return {
        "worst_ms_of_the_other_tenant": round(1_000 * max(sink.delays["t1"]), 1),
        "flood_left": left,
    }


async def main() -> None:
    """Run all three and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lanes", type=int, default=1_000)
    parser.add_argument("--idle-s", type=float, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = NatsProcess(Path(folder))
        server.start()
        try:
            print(
                json.dumps(await measure(server, options.lanes, options.idle_s, options.messages))
            )
        finally:
            server.kill()


async def measure(
    server: NatsProcess, count: int, idle_s: float, messages: int
) -> dict[str, object]:
    """Provision, start the lanes, measure."""
    client = await nats.connect(server.url)
    bus = await Bus.connect(server.url, name="bench")
    limits = Limits(max_bytes=16 << 20)
    slugs = [f"t{n}" for n in range(count)]
    tenants = [
        TenantPlan(slug=slug, namespace="bench", name=slug, uid=slug, limits=limits)
        for slug in slugs
    ]
    provisioner = Provisioner(client, Keyring.generate())
    began = time.monotonic()
    await provisioner.reconcile(tenants)
    created = time.monotonic()
    await provisioner.reconcile(tenants, deep=False)
    compared = time.monotonic()
    sink = Sink()
    lanes = Lanes(bus, sink.handle, batch=200, concurrency=2, in_flight=1_000)
    lanes.set(map(match_lane, slugs))
    task = asyncio.create_task(lanes.run())
    await asyncio.sleep(3)
    result: dict[str, object] = {
        "lanes": count,
        "provision_s": round(created - began, 2),
        "compare_unchanged_s": round(compared - created, 3),
        "idle": await idle(server, idle_s),
        "rate": await rate(bus, sink, count, messages),
        "fairness": await fairness(bus, sink),
    }
    await lanes.drain(5)
    await task
    await bus.close()
    await client.close()
    return result


if __name__ == "__main__":
    asyncio.run(main())
