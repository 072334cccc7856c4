"""Every role replaced by new pods while sales come in: nothing is lost. What senders repeated is in the timeline."""

from __future__ import annotations

from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.timeline import Timeline


def test_rolling_every_role_under_load_loses_nothing(release: Release, shop: Shop, timeline: Timeline) -> None:
    with shop.traffic(per_second=10) as traffic:
        traffic.wait_for(10)
        with timeline.seconds("rollout_s"):
            for name in release.deployments():
                release.kubectl.do("rollout", "restart", f"deployment/{name}")
            release.wait_rolled_out()
        traffic.wait_for(10)
    timeline.count("rollout", traffic, shop.prove(traffic))
