"""From `helm install` to Meta: examples applied, the gateways' webhooks through a real ingress
controller.
"""

from __future__ import annotations

import asyncio
import time

import httpx

from sinal_cli.demo import report
from sinal_cli.demo.command import balanced
from sinal_cli.demo.journey import Journey
from sinal_cli.demo.shop import RunningStack

from tests.cluster.support.waiting import until
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.timeline import Timeline


def test_a_signed_webhook_comes_through_the_ingress_to_meta(
    release: Release, shop: Shop, timeline: Timeline
) -> None:
    with shop.traffic(per_second=5) as traffic:
        traffic.wait_for(1)
        until(
            lambda: not shop.arrived(list(traffic.accepted)[:1]).missing, timeout_s=120, pause_s=0.2
        )
        timeline.note("install_to_first_conversion_s", time.monotonic() - release.installed_at)
    shop.prove(traffic)


def test_every_event_of_the_demos_journey_ends_as_it_should(shop: Shop) -> None:
    """Six gateways' webhooks signed as theirs, browsers, refunds, refusals, forgeries, Meta away
    for a moment.
    """

    async def play() -> tuple[list[dict[str, object]], dict[str, int]]:
        # The Host header is the ingress controller's; the other doors do not look at it.
        async with httpx.AsyncClient(timeout=120, headers={"Host": shop.host}) as client:
            world = RunningStack(shop.ready, client)
            rows = await report.examine(world, await Journey(world).play())
            return rows, await world.ledger()

    rows, ledger = asyncio.run(play())
    assert {row["step"]: row.get("complaints") for row in rows if not row["ok"]} == {}
    assert balanced(ledger), ledger
