"""What the platform costs while nobody uses it: CPU and memory of each role.

    python bench/idle.py [--tenants 1,1000] [--seconds 60] [--json FILE]

Every role is a process of its own and has done a little work before, so that all is imported and
connected. CPU is a share of one core over a minute, so that each idle lane has a heartbeat in it;
memory of one process is what it has resident (of PostgreSQL's, their proportional shares).
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report
from bench.support.stack import running

from tests.support.platform import ROLES

SETTLE_S = 8.0  # after the warm-up: second looks, first sweeps


async def measure(tenants: int, seconds: float) -> list[dict[str, Any]]:
    """One platform with so many tenants."""
    async with running(tenants=tenants) as platform:
        await asyncio.sleep(SETTLE_S)
        before, began = platform.cpu_s(), time.perf_counter()
        await asyncio.sleep(seconds)
        span = time.perf_counter() - began
        after, memory = platform.cpu_s(), platform.memory_mb()
    return [
        {
            "process": name,
            "tenants": tenants,
            "cpu_percent": 100 * (after[name] - before[name]) / span,
            "memory_mb": memory[name],
        }
        for name in memory
        if name != "sandbox"
    ]


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "--tenants", type=lambda text: list(map(int, text.split(","))), default=[1, 1_000]
    )
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    results = [
        row for tenants in options.tenants for row in uvloop.run(measure(tenants, options.seconds))
    ]
    report.table(results)
    roles = [row for row in results if row["process"] in ROLES]
    goals = [
        report.goal(
            "busiest role, % of a core", max(row["cpu_percent"] for row in roles), 2, at_least=False
        ),
        report.goal(
            "largest role, MiB", max(row["memory_mb"] for row in roles), 150, at_least=False
        ),
    ]
    report.finish("idle", goals, {"results": results}, options.json)


if __name__ == "__main__":
    main()
