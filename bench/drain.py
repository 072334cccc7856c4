"""How fast a full queue leaves: conversions a second into a Graph API that takes 50 ms for each
request.

    python bench/drain.py [--rows 100000] [--tenants 1] [--batch 1000] [--delay-ms 50] [--json FILE]

The outbox and its lane are filled while no dispatcher runs; then one is started. The rate runs from
its first request to the last settled row, so it holds everything: pulling, claiming, checking,
sending, settling, acking. The Graph API is a stub that counts; every event must be there once. One
destination sends `concurrency` (4) requests at a time.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import graph, machine, outbox, report, world
from bench.support.arrivals import until
from bench.support.stack import Bench, running

_UNSETTLED = "select count(*) from capi_events where status in ('pending', 'sending')"
_DELIVERED = "select count(*) from capi_events where status = 'delivered'"
_SPAN = """
select extract(epoch from (select max(settled_at) from capi_events) - min(created_at))::float8 from dispatch_requests
"""


async def drain(platform: Bench, *, rows: int, tenants: int, graph_url: str) -> dict[str, Any]:
    """Fill, start a dispatcher, wait until all is settled."""
    await platform.roles["dispatch"].stop()
    for slug in world.slugs(tenants):
        url, nats = platform.postgres.url(), platform.nats.url
        await outbox.fill(
            url, nats, slug=slug, destination=world.pixel_name(slug), rows=rows // tenants
        )
    total = rows // tenants * tenants
    before, busy = platform.cpu_s(), machine.busy_s()
    platform.start_role("dispatch")

    async def at_meta() -> int:
        seen = await _stats(platform, graph_url)
        return seen["events"]

    async def unsettled() -> int:
        return -int(await _one(platform, _UNSETTLED))

    # the database is asked only at the end: counting costs it
    await until(at_meta, total, timeout_s=120, every_s=0.2)
    await until(unsettled, 0, timeout_s=30, every_s=0.5)
    busy = machine.busy_s() - busy
    used = {name: spent - before.get(name, 0.0) for name, spent in platform.cpu_s().items()}
    seen = await _stats(platform, graph_url)
    delivered, span = await _one(platform, _DELIVERED), await _one(platform, _SPAN)
    return {
        "rows": total,
        "tenants": tenants,
        "delivered": delivered,
        "seconds": span,
        "events_per_s": delivered / span,
        "requests": seen["requests"],
        "cpu_s": sum(used.values()),
        "machine_cpu_s": busy,  # what is beyond our own and the stub's is others' work
        "events_at_meta": seen["events"],
        "distinct_at_meta": seen["ids"],
        "cpu_us_per_event": {name: 1e6 * spent / total for name, spent in sorted(used.items())},
    }


async def _stats(platform: Bench, graph_url: str) -> dict[str, int]:
    async with platform.session.get(graph_url) as answer:
        found: dict[str, int] = await answer.json(content_type=None)
        return found


async def _one(platform: Bench, query: LiteralString) -> Any:
    async with await psycopg.AsyncConnection.connect(
        platform.postgres.url(), autocommit=True
    ) as connection:
        row = await (await connection.execute(query)).fetchone()
    return row[0] if row else None


async def run(*, rows: int, tenants: int, batch: int, delay_ms: float) -> dict[str, Any]:
    """One drain over a platform of its own."""
    process, url = graph.spawn(delay_ms=delay_ms)
    try:
        async with running(
            tenants=tenants, batch=batch, warm=False, settings={"SINAL_GRAPH_URL": url}
        ) as platform:
            return await drain(platform, rows=rows, tenants=tenants, graph_url=url)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1_000, help="events in a request")
    parser.add_argument("--delay-ms", type=float, default=50)
    options = parser.parse_args()
    result = uvloop.run(
        run(
            rows=options.rows,
            tenants=options.tenants,
            batch=options.batch,
            delay_ms=options.delay_ms,
        )
    )
    report.table([{key: value for key, value in result.items() if key != "cpu_us_per_event"}])
    print("\nCPU µs an event, by process")
    report.table([result["cpu_us_per_event"]])
    lost = (
        result["rows"]
        - result["distinct_at_meta"]
        + abs(result["events_at_meta"] - result["distinct_at_meta"])
    )
    goals = [
        report.goal("conversions a second", result["events_per_s"], 10_000, at_least=True),
        report.goal("conversions lost or sent twice", lost, 0, at_least=False),
    ]
    report.finish(
        "drain",
        goals,
        {"batch": options.batch, "delay_ms": options.delay_ms, **result},
        options.json,
    )


if __name__ == "__main__":
    main()
