"""From the charts of the version before to the present ones and back, while clicks and sales come in.

The image before is the present one under another name, unless SINAL_E2E_PREVIOUS_IMAGE names a real one: every pod is
replaced and the migration runs, as in any upgrade, but both versions are of the same code.
"""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.support.waiting import until
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.site import KINDS
from tests.e2e.support.timeline import Timeline

Job = dict[str, Any]


def test_upgrading_under_load_loses_nothing(cluster: Cluster, release: Release, shop: Shop, timeline: Timeline) -> None:
    """Objects, what they are told to be and what was sold stay; the database is migrated beside the pods before."""
    before, sold, before_jobs = release.version(), shop.ledger()["accepted"], migrations(release)
    declared, keyring = declarations(shop), shop.site.secret("keyring", "keyring.json")
    with shop.traffic(per_second=10, clicks=True) as traffic:
        traffic.wait_for(20)
        with timeline.seconds("upgrade_s"):
            release.upgrade()
        traffic.wait_for(20)
    timeline.count("upgrade", traffic, shop.prove(traffic))
    timeline.note("upgraded", f"{before} to {release.version()}")
    assert release.version() != before
    assert images(release) == {cluster.images.sinal}
    assert migrations(release).keys().isdisjoint(before_jobs)
    until(lambda: all(job["status"].get("succeeded") == 1 for job in migrations(release).values()), timeout_s=120)
    assert hooks(release) == {"sinal-prepare": "Succeeded"}
    assert declarations(shop) == declared
    assert shop.site.secret("keyring", "keyring.json") == keyring
    assert shop.ledger()["accepted"] >= sold + len(traffic.accepted) + len(traffic.clicked)


def test_going_back_and_forth_under_load_loses_nothing(
    cluster: Cluster, release: Release, shop: Shop, timeline: Timeline
) -> None:
    after, declared = release.version(), declarations(shop)
    with shop.traffic(per_second=10, clicks=True) as traffic:
        traffic.wait_for(20)
        with timeline.seconds("rollback_s"):
            release.rollback()
        assert release.version() != after
        assert images(release) == {cluster.images.previous}
        traffic.wait_for(20)
        release.upgrade()
        traffic.wait_for(20)
    timeline.count("rollback", traffic, shop.prove(traffic))
    assert release.version() == after
    assert declarations(shop) == declared


def declarations(shop: Shop) -> dict[tuple[str, str], tuple[str, Any]]:
    """Every object of the shop: the same object still, with the same spec."""
    items = json.loads(shop.site.shop.do("get", KINDS, "-o", "json"))["items"]
    return {(item["kind"], item["metadata"]["name"]): (item["metadata"]["uid"], item.get("spec")) for item in items}


def images(release: Release) -> set[str]:
    """What the release's Deployments run."""
    return {item["spec"]["template"]["spec"]["containers"][0]["image"] for item in release.kubectl.list("deployments")}


def migrations(release: Release) -> dict[str, Job]:
    """The Jobs that migrate the database, by name."""
    return {
        job["metadata"]["name"]: job
        for job in release.kubectl.list("jobs")
        if job["metadata"]["labels"].get("app.kubernetes.io/component") == "migrate"
    }


def hooks(release: Release) -> dict[str, str]:
    """The Jobs that Helm ran before the present revision, and how they ended; it deletes them when they succeed."""
    status = json.loads(release.helm.do("status", "sinal", "--output", "json"))
    return {
        hook["name"]: hook["last_run"]["phase"]
        for hook in status["hooks"]
        if hook["kind"] == "Job" and "pre-upgrade" in hook["events"]
    }
