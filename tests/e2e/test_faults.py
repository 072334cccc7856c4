"""Pods and the node's own components die without warning while sales come in: all that was taken
arrives.
"""

from __future__ import annotations

import pytest

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.timeline import Timeline

AT_ONCE = ("--grace-period=0", "--force")
# A forced deletion lets a StatefulSet start the next pod while this one still writes: two
# PostgreSQL on one volume. So the services have the shortest time that there is, a second, and are
# known to be gone before others come.
SOON = ("--grace-period=1", "--wait=true")
ROUNDS = (
    (AT_ONCE, ("ingest", "match", "dispatch", "api", "housekeeping", "operator")),
    (SOON, ("nats",)),
    (SOON, ("postgres", "redis")),
)
COMPONENTS = ("kubelet", "containerd", "kube-apiserver", "etcd")


def test_killed_pods_lose_nothing(release: Release, shop: Shop, timeline: Timeline) -> None:
    """One of each role at once, then each of the services that they stand on."""
    with shop.traffic(per_second=10) as traffic, timeline.seconds("pods_killed_s"):
        traffic.wait_for(10)
        for how, components in ROUNDS:
            victims = [release.pods(component)[0] for component in components]
            release.kubectl.do("delete", "pod", *victims, *how)
            traffic.wait_for(10, timeout_s=240)
            release.wait_rolled_out()
        traffic.wait_for(10)
    timeline.count("pods_killed", traffic, shop.prove(traffic))


def test_killed_components_of_the_node_lose_nothing(
    cluster: Cluster, release: Release, shop: Shop, timeline: Timeline
) -> None:
    """Each is away for a while, the others well; what runs goes on without it.

    One after the other: a container runtime that dies while a kubelet that has just started asks
    its pods again leaves them unready, and a cluster with one node without anybody to serve, for as
    long as it is away.
    """
    if not cluster.has_components:
        pytest.skip("SINAL_E2E_NODE is not set: nothing here kills components of the node")
    with shop.traffic(per_second=10) as traffic, timeline.seconds("components_killed_s"):
        for component in COMPONENTS:
            traffic.wait_for(10)
            cluster.kill_component(component)
            try:
                traffic.wait_for(20)
            finally:
                cluster.start_component(component)
            cluster.wait_settled()
        release.wait_rolled_out()
        traffic.wait_for(10)
    timeline.count("components_killed", traffic, shop.prove(traffic))


def test_a_trial_whose_database_was_lost_works_again(
    release: Release, shop: Shop, timeline: Timeline
) -> None:
    """By itself: nobody runs a migration, nobody restarts a pod.

    What is sold from then on arrives.
    """
    victim = release.pods("postgres")[0]
    release.kubectl.do("exec", victim, "--", "rm", "-rf", "/data/pgdata")
    release.kubectl.do("delete", "pod", victim, *SOON)
    with shop.traffic(per_second=5) as traffic, timeline.seconds("database_lost_s"):
        traffic.wait_for(20, timeout_s=240)
        release.wait_rolled_out()
    timeline.count("database_lost", traffic, shop.prove(traffic, timeout_s=240))
