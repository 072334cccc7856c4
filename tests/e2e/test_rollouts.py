"""Every role replaced by new pods while sales come in: nothing is lost, and each old pod ended by
itself.

What senders repeated is in the timeline.
"""

from __future__ import annotations

from tests.e2e.support.endings import Endings
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.timeline import Timeline


def test_rolling_every_role_under_load_loses_nothing(
    release: Release, shop: Shop, timeline: Timeline
) -> None:
    """SIGTERM under load: every process of before drains and exits with 0 before its grace is over.

    None is killed.
    """
    release.wait_rolled_out()  # a process that is still starting may end with 143
    roles = {name.removeprefix("sinal-") for name in release.deployments()}
    with Endings(release.kubectl).kept() as before, shop.traffic(per_second=10) as traffic:
        traffic.wait_for(10)
        with timeline.seconds("rollout_s"):
            for name in release.deployments():
                release.kubectl.do("rollout", "restart", f"deployment/{name}")
            release.wait_rolled_out()
        traffic.wait_for(10)
        ended = before.told()
    timeline.count("rollout", traffic, shop.prove(traffic))
    slowest = {end.role: end.seconds for end in sorted(ended, key=lambda end: end.seconds or 0)}
    timeline.note(
        "sigterm_to_exit_s",
        ", ".join(f"{role} {seconds}" for role, seconds in sorted(slowest.items())),
    )
    assert {end.role for end in ended} == roles
    assert [end for end in ended if end.exit_code != 0] == []
