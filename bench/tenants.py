"""What a thousand tenants cost against one: the same events, spread over them.

    python bench/tenants.py [--tenants 1000] [--events 40000] [--runs 2] [--connections 256] [--json
    FILE]

Twice on a platform of its own: the mix of `end_to_end.py` goes in at a rate above what the platform
delivers, so that every role works at its limit, and the rate is what arrived at the sandbox over
the time from the first request to the last arrival. Each tenant has a stream, a match lane, a
funnel, a webhook account and a destination of its own, and has had events before: a tenant's first
one opens files and statements that the others don't need. Runs alternate and the best of each
counts: what else runs on the machine can only slow one down.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.end_to_end import measure
from bench.support import report
from bench.support.stack import running

RATE = 2_500.0


async def run(tenants: int, events: int, connections: int) -> dict[str, Any]:
    """One platform with so many tenants."""
    async with running(tenants=tenants) as platform:
        await asyncio.sleep(5)
        result = await measure(platform, rate=RATE, seconds=events / RATE, connections=connections)
    return {"tenants": tenants, **result}


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--connections", type=int, default=256)
    options = parser.parse_args()
    results = [
        uvloop.run(run(tenants, options.events, options.connections))
        for _ in range(options.runs)
        for tenants in (1, options.tenants)
    ]
    report.table(
        [{key: value for key, value in one.items() if key != "cpu_ms_per_event"} for one in results]
    )
    print("\nCPU ms an event, by process")
    report.table([{"tenants": one["tenants"], **one["cpu_ms_per_event"]} for one in results])
    one, many = (
        max(result["events_per_s"] for result in results if result["tenants"] == tenants)
        for tenants in (1, options.tenants)
    )
    lost = sum(result["missing"] + result["failed"] for result in results)
    goals = [
        report.goal(
            f"rate of {options.tenants} tenants, of that of one", many / one, 0.8, at_least=True
        ),
        report.goal("events lost", lost, 0, at_least=False),
    ]
    report.finish("tenants", goals, {"results": results}, options.json)


if __name__ == "__main__":
    main()
