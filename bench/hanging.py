"""What one destination that answers nothing costs the others: their p99 with it against without.

    python bench/hanging.py [--tenants 10] [--rate 200] [--seconds 15] [--runs 2] [--json FILE]

Each run has a platform of its own and the same load; in every second one the sandbox leaves all
requests of the first tenant's pixel unanswered. Times are those of the other tenants' events, from
due to received, batches leave after 100 ms. Runs alternate and the best of each kind counts: what
else runs on the machine can only slow one down.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report, world
from bench.support.arrivals import arrivals, until
from bench.support.load import Load
from bench.support.machine import percentile
from bench.support.stack import running
from bench.support.traffic import Traffic

LEAD_S = 3.0  # the first requests hang before times are taken


async def run(*, hanging: bool, tenants: int, rate: float, seconds: float) -> dict[str, Any]:
    """One platform, with or without a destination that hangs."""
    async with running(tenants=tenants, linger_ms=100) as platform:
        if hanging:
            await platform.hang(world.pixel_id(0))
        traffic = Traffic(platform.shops, run=uuid.uuid4().hex[:8])
        load = Load(traffic.make)
        await load.run(
            "127.0.0.1",
            platform.ports["ingest"],
            connections=32,
            rate=rate,
            seconds=LEAD_S + seconds,
        )
        sick = world.slugs(1)[0]
        healthy = {key: due for key, due in traffic.due.items() if traffic.tenant[key] != sick}
        await until(platform.received, len(healthy) if hanging else len(traffic.due), timeout_s=30)
        seen = await arrivals(platform.session, platform.sandbox_url)
    timed = {key: due for key, due in healthy.items() if due >= LEAD_S}
    late = seen.latencies(timed, started_at=load.started_at)
    return {
        "hanging": hanging,
        "events": len(timed),
        "p50_s": percentile(late, 0.5),
        "p99_s": percentile(late, 0.99),
        "max_s": max(late),
        "failed": load.failed,
        "of_the_hanging": sum(key in seen.at for key in traffic.due if traffic.tenant[key] == sick),
    }


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    results = [
        uvloop.run(
            run(
                hanging=hanging, tenants=options.tenants, rate=options.rate, seconds=options.seconds
            )
        )
        for _ in range(options.runs)
        for hanging in (False, True)
    ]
    report.table(results)
    without, beside = (
        min(one["p99_s"] for one in results if one["hanging"] is hanging)
        for hanging in (False, True)
    )
    goals = [
        report.goal(
            "p99 of healthy tenants, times that without", beside / without, 1.2, at_least=False
        )
    ]
    report.finish("hanging", goals, {"rate": options.rate, "results": results}, options.json)


if __name__ == "__main__":
    main()
