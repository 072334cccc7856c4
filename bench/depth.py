"""What it costs to know how deep all queues are: requests to the broker and time, by how many
tenants have work.

    python bench/depth.py [--tenants 1000] [--looks 20] [--json FILE]

Starts its own nats-server and provisions the tenants. A look is what the metrics adapter does when
an autoscaler asks; the goal is that one over a thousand tenants, all with work, ends well within
the ten seconds that it may take.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
from nats.aio.msg import Msg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report

from sinal_core.nats import Bus, Outgoing
from sinal_crds.keyring import Keyring
from sinal_crds.plan import Limits, TenantPlan
from sinal_operator.provision import Provisioner

from tests.support.nats_process import NatsProcess

GOAL_MS = 2_000.0
SHARES = (0.0, 0.1, 1.0)


async def measure(server: NatsProcess, count: int, looks: int) -> list[report.Row]:
    """One row for each share of tenants with work."""
    client = await nats.connect(server.url)
    bus = await Bus.connect(server.url, name="bench")
    limits = Limits(max_bytes=16 << 20)
    slugs = [f"t{n}" for n in range(count)]
    plans = [
        TenantPlan(slug=slug, namespace="bench", name=slug, uid=slug, limits=limits)
        for slug in slugs
    ]
    await Provisioner(client, Keyring.generate()).reconcile(plans)
    calls = 0

    async def seen(_: Msg) -> None:
        nonlocal calls
        calls += 1

    await client.subscribe("$JS.API.>", cb=seen)
    await client.flush()
    rows: list[report.Row] = []
    for share in SHARES:
        busy = slugs[: round(count * share)]
        done = await bus.publish_many(
            [Outgoing(f"t.{slug}.in.click", b"x" * 300, f"{slug}-{share}") for slug in busy]
        )
        failed = [one for one in done if isinstance(one, Exception)]
        if failed:
            raise failed[0]
        await asyncio.sleep(0.5)
        calls, took = 0, []
        for _ in range(looks):
            began = time.monotonic()
            found = await bus.survey(ages=True)
            took.append(1_000 * (time.monotonic() - began))
            if len({depth.tenant for depth in found.depths}) != len(busy):
                raise RuntimeError(f"{len(found.depths)} lanes were found, {len(busy)} have work")
        await client.flush()
        await asyncio.sleep(0.5)
        took.sort()
        rows.append(
            {
                "tenants": count,
                "with work": len(busy),
                "requests a look": round(calls / looks, 1),
                "p50 ms": round(statistics.median(took), 1),
                "worst ms": round(took[-1], 1),
            }
        )
    await bus.close()
    await client.close()
    return rows


def main() -> int:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--looks", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = NatsProcess(Path(folder))
        server.start()
        try:
            rows = asyncio.run(measure(server, options.tenants, options.looks))
        finally:
            server.kill()
    report.table(rows)
    worst = max(float(row["worst ms"]) for row in rows)
    goals = [
        report.goal(f"one look at {options.tenants} tenants, ms", worst, GOAL_MS, at_least=False)
    ]
    report.finish("depth", goals, {"rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
