"""From the request at the edge to the event at Meta's door: how many a second, and how long it
takes.

    python bench/end_to_end.py [--rates 167,1600,1800] [--seconds 60] [--tenants 1] [--json FILE]

Everything runs on this machine, the generator too: PostgreSQL, NATS, Redis, each role, the sandbox
in Meta's place. Load is open-loop; the time of an event runs from when its request was due to when
the sandbox had it, and an event that never came counts as infinitely late. `events_per_s` is what
was delivered over the time from the first request to the last delivery: a backlog that had to be
worked off at the end lowers it. 167 events a second are 10,000 a minute.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report
from bench.support.arrivals import arrivals, until
from bench.support.load import Load
from bench.support.machine import busy_s, percentile
from bench.support.stack import Bench, running
from bench.support.traffic import Traffic

DRAIN_S = 60.0


async def measure(
    platform: Bench, *, rate: float, seconds: float, connections: int
) -> dict[str, Any]:
    """One rate; the sandbox is emptied before it."""
    await platform.clear_sandbox()
    traffic = Traffic(platform.shops, run=uuid.uuid4().hex[:8])
    load, total = Load(traffic.make), int(rate * seconds)
    before, busy, began = platform.cpu_s(), busy_s(), time.perf_counter()
    await load.run(
        "127.0.0.1", platform.ports["ingest"], connections=connections, rate=rate, seconds=seconds
    )
    complete = await until(platform.received, total - load.failed, timeout_s=DRAIN_S)
    span = time.perf_counter() - began
    used, busy = (
        {name: spent - before[name] for name, spent in platform.cpu_s().items()},
        busy_s() - busy,
    )
    seen = await arrivals(platform.session, platform.sandbox_url)
    late = seen.latencies(traffic.due, started_at=load.started_at)
    last = max(seen.at.values(), default=load.started_at) - load.started_at
    return {
        "rate": rate,
        "events_per_s": len(seen.at) / last if last else 0.0,
        "p50_s": percentile(late, 0.5),
        "p99_s": percentile(late, 0.99),
        "max_s": max(late),
        "ack_p99_ms": percentile(load.latencies, 0.99) * 1000,
        "failed": load.failed,
        "missing": total - load.failed - len(seen.at),
        "repeats": seen.repeats,
        "complete": complete,
        "cores": sum(used.values()) / span,
        "machine_cores": busy / span,  # what is beyond ours and the generator's is others' work
        "cpu_ms_per_event": {name: 1000 * spent / total for name, spent in sorted(used.items())},
    }


async def race(
    rates: list[float], *, seconds: float, tenants: int, connections: int
) -> list[dict[str, Any]]:
    """All rates over one platform, one after the other."""
    results = []
    async with running(tenants=tenants) as platform:
        for rate in rates:
            results.append(
                await measure(platform, rate=rate, seconds=seconds, connections=connections)
            )
            await asyncio.sleep(2)
    return results


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "--rates",
        type=lambda text: [float(one) for one in text.split(",")],
        default=[167.0, 1_600.0, 1_800.0],
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    results = uvloop.run(
        race(
            options.rates,
            seconds=options.seconds,
            tenants=options.tenants,
            connections=options.connections,
        )
    )
    report.table(
        [{key: value for key, value in one.items() if key != "cpu_ms_per_event"} for one in results]
    )
    print("\nCPU ms an event, by process")
    report.table([{"rate": one["rate"], **one["cpu_ms_per_event"]} for one in results])
    sustained = max((one["events_per_s"] for one in results if one["p99_s"] <= 5), default=0.0)
    goals = [
        report.goal("p99 at 10,000 events a minute, s", results[0]["p99_s"], 5, at_least=False),
        report.goal("events a second, p99 within 5 s", sustained, 1_500, at_least=True),
    ]
    report.finish(
        "end_to_end", goals, {"tenants": options.tenants, "results": results}, options.json
    )


if __name__ == "__main__":
    main()
