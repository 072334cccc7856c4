"""How soon each role works: from the start of its process to the first `/readyz` that says so.

    python bench/start.py [--roles ingest,api] [--runs 7] [--json FILE]

Every role is a process over real services that are there already, so that what is measured is the
role and not what it waits for. Beside them stand two floors of the same run: bare processes that
answer the same probe, one of asyncio alone, one that has imported aiohttp besides. Operator and
metrics adapter are there a second time, with an API server, when the control plane of `make
cluster` is at hand. The command's own words are timed until they have ended. All are started in
turn, and then all again: what else the machine does falls on all alike.

Take the interpreter of the image, or one that was built as that one was, with profile-guided
optimisation: Debian's /usr/bin/python3.11 is such a one, an interpreter that was compiled with its
defaults is slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report
from bench.support.stack import running
from bench.support.starts import Span, Start, bare, in_cluster, of_platform, words

from tests.cluster.support import assets
from tests.support.platform import ROLES

GOAL_S = 2.0
ALL = (*ROLES, "metrics-adapter")
FLOORS = ("asyncio", "asyncio, aiohttp")
WORDS = ("--version", "--help")


@contextlib.asynccontextmanager
async def stage(roles: Sequence[str]) -> AsyncIterator[tuple[list[Start], list[Start]]]:
    """Floors and roles, and all that they need."""
    async with contextlib.AsyncExitStack() as stack:
        settings = {"SINAL_ADAPTER_EXTERNAL_METRICS": "false"}
        platform = await stack.enter_async_context(running(warm=False, settings=settings))
        floors = [bare(modules, platform.folder) for modules in FLOORS]
        found = [of_platform(platform, role) for role in roles]
        if assets.at_hand() and {"operator", "metrics-adapter"} & set(roles):
            found += await stack.enter_async_context(in_cluster(roles))
        yield floors, found
        for floor in floors:
            await floor.end()


async def measure(roles: Sequence[str], runs: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of floors, roles and words."""
    async with stage(roles) as (floors, found):
        measured: dict[str, list[Span]] = {one.name: [] for one in (*floors, *found)}
        for _ in range(runs):
            for one in (*floors, *found):
                measured[one.name].append(await one.once())
    rows = {name: row(name, spans) for name, spans in measured.items()}
    return {
        "floors": [rows[one.name] for one in floors],
        "roles": [rows[one.name] for one in found],
        "words": [row(f"sinal {word}", [words(word) for _ in range(runs)]) for word in WORDS],
    }


def row(name: str, spans: Sequence[Span]) -> dict[str, Any]:
    """All starts of one process."""
    seconds = [span.seconds for span in spans]
    return {
        "process": name,
        "best_s": min(seconds),
        "median_s": statistics.median(seconds),
        "longest_s": max(seconds),
        "cpu_s": statistics.median(span.cpu_s for span in spans),
    }


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--roles", type=lambda text: text.split(","), default=ALL)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    results = asyncio.run(measure(options.roles, options.runs))
    report.table([row for rows in results.values() for row in rows])
    goals = [
        report.goal(
            f"slowest {what}, median s",
            max(row["median_s"] for row in results[rows]),
            GOAL_S,
            at_least=False,
        )
        for what, rows in (("role", "roles"), ("word of the command", "words"))
    ]
    report.finish("start", goals, {"results": results}, options.json)


if __name__ == "__main__":
    main()
