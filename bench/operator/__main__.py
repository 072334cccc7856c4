"""The operator at scale: a thousand tenants applied to all Ready, a change to the runtime's acting
on it, and at rest.

    python bench/operator [--tenants 1000] [--changes 60] [--rest 60] [--json FILE]

On a real control plane (etcd and the API server as processes, as `make cluster` has them) with real
NATS and a real ingest role. Each tenant has a funnel, a destination, an integration and a Secret of
its own, applied server-side by several at once; Ready is read from one watch a kind. A change is a
funnel's new landing host; the runtime acts on it when ingest permits a page of that host. Nothing
is subtracted: times begin when the first byte is sent. At rest nobody changes anything; requests
are those of the API server's audit log and of NATS' own counters.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.operator.cluster import Cluster, funnel, host, world
from bench.operator.stage import NAMESPACE, Stage, now, running
from bench.support import machine, report

POLL_S = 0.01
PATIENCE_S = 30.0
REQUESTS_OF_ELECTION = ("get leases", "update leases", "create leases")


async def applied(stage: Stage, cluster: Cluster, tenants: list[str]) -> dict[str, Any]:
    """Apply everything at once; seconds until it was applied, and until all was Ready."""
    began = now()
    ready = asyncio.create_task(cluster.all_ready(len(tenants)))
    await cluster.apply(*(manifest for tenant in tenants for manifest in world(tenant)))
    applied_s = now() - began
    await ready
    return {"tenants": len(tenants), "applied_s": applied_s, "ready_s": now() - began}


async def changed(
    stage: Stage, cluster: Cluster, tenants: list[str], *, count: int, apart_s: float
) -> list[float]:
    """Change funnels of random tenants, one after the other at fixed times.

    Seconds until ingest acted on each.
    """
    chosen = random.sample(tenants, count)
    async with aiohttp.ClientSession(stage.ingest_url) as session:

        async def one(number: int) -> float:
            await asyncio.sleep(number * apart_s)
            tenant, version = chosen[number], 1 + number
            began = now()
            await cluster.apply(funnel(tenant, version))
            while not await permitted(session, tenant, host(tenant, version)):
                if now() - began > PATIENCE_S:
                    return float("inf")
                await asyncio.sleep(POLL_S)
            return now() - began

        return await asyncio.gather(*map(one, range(count)))


async def permitted(session: aiohttp.ClientSession, tenant: str, page: str) -> bool:
    """Whether ingest lets a page of that host post for the tenant."""
    headers = {"Origin": f"https://{page}", "Access-Control-Request-Method": "POST"}
    async with session.options(f"/t/{tenant}/api/v1/track/pageview", headers=headers) as answer:
        return "Access-Control-Allow-Origin" in answer.headers


async def rested(stage: Stage, seconds: float) -> dict[str, Any]:
    """What the operator does while nobody changes anything, a minute."""
    await asyncio.sleep(20)  # statuses, events, second looks
    pid = stage.operator.pid
    api, nats, cpu, began = stage.api_requests(), stage.nats_messages(), machine.cpu_s(pid), now()
    await asyncio.sleep(seconds)
    api, nats, cpu, span = (
        stage.api_requests() - api,
        stage.nats_messages() - nats,
        machine.cpu_s(pid) - cpu,
        now() - began,
    )
    election = sum(api.pop(name, 0) for name in REQUESTS_OF_ELECTION)
    return {
        "api_per_min": 60 * api.total() / span,
        "election_per_min": 60 * election / span,
        "nats_per_min": 60 * nats / span,
        "cpu_percent": 100 * cpu / span,
        "memory_mb": machine.memory_mb(pid),
        "api_by_request": dict(api),
    }


async def measure(options: Any) -> dict[str, Any]:
    """All three on one stage."""
    tenants = [f"t{number:04d}" for number in range(options.tenants)]
    async with (
        running() as stage,
        Cluster(stage.plane.kubeconfig, NAMESPACE, parallel=options.parallel) as cluster,
    ):
        before = machine.memory_mb(stage.operator.pid)
        apply = await applied(stage, cluster, tenants)
        report.table([apply])
        print(stage.rounds())
        await asyncio.sleep(10)
        changes = await changed(
            stage, cluster, tenants, count=options.changes, apart_s=options.apart
        )
        rest = await rested(stage, options.rest)
        print(stage.rounds())
        return {"apply": apply, "changes_s": changes, "rest": rest, "memory_before_mb": before}


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--parallel", type=int, default=16, help="requests of the bench at a time")
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--apart", type=float, default=0.5, help="seconds between two changes")
    parser.add_argument("--rest", type=float, default=60, help="seconds to watch it at rest")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    rest, changes = found["rest"], found["changes_s"]
    p50, p95 = (machine.percentile(changes, share) for share in (0.5, 0.95))
    print("\nat rest")
    report.table([{name: value for name, value in rest.items() if not isinstance(value, dict)}])
    print(
        f"\n{len(changes)} changes: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {max(changes):.2f} s"
    )
    goals = [
        report.goal(
            f"{options.tenants} tenants applied to all Ready, s",
            found["apply"]["ready_s"],
            60,
            at_least=False,
        ),
        report.goal("change to the runtime's acting, p95 s", p95, 2, at_least=False),
        report.goal(
            "requests to the API server a minute at rest", rest["api_per_min"], 30, at_least=False
        ),
        report.goal("messages to NATS a minute at rest", rest["nats_per_min"], 120, at_least=False),
        report.goal("operator, MiB", rest["memory_mb"], 250, at_least=False),
    ]
    report.finish("operator", goals, {"p50_s": p50, "p95_s": p95, **found}, options.json)


if __name__ == "__main__":
    main()
