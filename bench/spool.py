"""What the spool takes and gives: events a second to disk, latency of the promise, recovery, replay
to a real broker.

    python bench/spool.py [--events 50000] [--senders 64] [--folder DIR] [--json FILE]

Every append waits for its sync, as a request does; `senders` of them wait at the same time and
share it. Recovery is the time from opening the folder to knowing every record; replay goes through
nats-server with an ack an event.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sinal_core.nats import Bus, Published
from sinal_core.telemetry import logs
from sinal_crds import names
from sinal_hub.spool import Detour, Owner, SpoolEntry, SpoolLimits

from tests.support.nats_process import NatsProcess

TENANT, BODY = (
    "bench",
    b'{"v":1,"kind":"pageview","url":"https://curso.example/p"}'.ljust(700, b" "),
)


class Broker:
    """The bus, behind a switch."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.there = bus, False

    async def publish(self, entry: SpoolEntry, *, timeout_s: float) -> Published:
        """As the edge does."""
        return await self.bus.publish(
            entry.subject, entry.body, msg_id=entry.msg_id, timeout_s=timeout_s
        )

    def detour(self, folder: Path) -> Detour:
        """A spool in front of it."""
        return Detour(
            folder,
            limits=SpoolLimits(max_bytes=8 << 30),
            connected=lambda: self.there,
            publish=self.publish,
            request_provision=self.bus.request_provision,
            tenant_of=lambda slug: Owner(f"uid-{slug}", f"ns/{slug}"),
        )


async def fill(detour: Detour, *, events: int, senders: int) -> dict[str, float]:
    """Spool `events` records from `senders` at a time."""
    latencies: list[float] = []
    numbers = iter(range(events))

    async def sender() -> None:
        for number in numbers:
            entry = SpoolEntry(
                TENANT,
                names.in_subject(TENANT, "pageview"),
                str(number),
                int(time.time() * 1000),
                BODY,
            )
            began = time.perf_counter()
            await detour.take([entry])
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(senders)))
    took, ordered = time.perf_counter() - began, sorted(latencies)
    return {
        "spooled_per_s": round(events / took),
        "spooled_p50_ms": round(ordered[events // 2] * 1000, 2),
        "spooled_p99_ms": round(ordered[int(events * 0.99)] * 1000, 2),
    }


async def race(folder: Path, *, events: int, senders: int) -> dict[str, float]:
    """Fill, restart, replay."""
    server = NatsProcess(folder / "nats")
    server.start()
    try:
        bus = await Bus.connect(server.url, name="bench-spool")
        config = {
            "name": names.stream(TENANT),
            "subjects": [names.tenant_subjects(TENANT)],
            "storage": "file",
        }
        await bus.api(f"STREAM.CREATE.{names.stream(TENANT)}", json.dumps(config).encode())
        broker = Broker(bus)
        first = broker.detour(folder / "spool")
        await first.start()
        result = await fill(first, events=events, senders=senders)
        await first.stop()
        again, began = broker.detour(folder / "spool"), time.perf_counter()
        await again.start()
        result["recovery_s"] = round(time.perf_counter() - began, 2)
        broker.there, began = True, time.perf_counter()
        while again.state.records:  # noqa: ASYNC110 - polling ends in time too
            await asyncio.sleep(0.01)
        result["replayed_per_s"] = round(events / (time.perf_counter() - began))
        await again.stop()
        await bus.close()
    finally:
        server.kill()
    return result


def main() -> None:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--senders", type=int, default=64)
    parser.add_argument(
        "--folder", type=Path, help="where segments lie; default: a temporary folder"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logs.configure(level="warning")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = uvloop.run(race(Path(folder), events=arguments.events, senders=arguments.senders))
    line = json.dumps(
        {
            "cores": os.cpu_count(),
            "events": arguments.events,
            "senders": arguments.senders,
            **result,
        }
    )
    print(line)
    if arguments.json:
        arguments.json.write_text(line)


if __name__ == "__main__":
    main()
