"""The queue's depth, by way of the metrics adapter and the HorizontalPodAutoscaler, into real pods
and out again.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.cluster.support.waiting import until
from tests.e2e.support.release import SCALED, Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.timeline import Timeline

METRIC = "/apis/external.metrics.k8s.io/v1beta1/namespaces/sinal/sinal_queue_depth?labelSelector=role%3Ddispatch"
SLOW = {"batch": {"maxEvents": 5}, "rateLimit": {"requestsPerSecond": 1, "concurrency": 1}}
FREE = {"batch": {"maxEvents": None}, "rateLimit": None}  # as the schema has it


def test_a_backlog_brings_pods_and_its_end_takes_them(
    release: Release, shop: Shop, timeline: Timeline
) -> None:
    """An agency's pixel is paced far below what is sold.

    Its queue grows; then the pace is given free.
    """
    release.kubectl.do(
        "wait",
        "apiservice/v1beta1.external.metrics.k8s.io",
        "--for=condition=Available",
        "--timeout=120s",
    )
    until(lambda: ready_pods(release, "dispatch") == 1, timeout_s=120)
    pace(shop, SLOW)
    try:
        with shop.traffic(per_second=25) as traffic:
            began = time.monotonic()
            until(lambda: ready_pods(release, "dispatch") == SCALED["dispatch"], timeout_s=120)
            timeline.note("burst_to_added_pod_ready_s", time.monotonic() - began)
            timeline.note("depth_seen_by_the_autoscaler", depth(release))
    finally:
        pace(shop, FREE)
    shop.prove(traffic)
    quiet = time.monotonic()
    until(lambda: len(release.pods("dispatch")) == 1, timeout_s=120)
    timeline.note("calm_to_pod_removed_s", time.monotonic() - quiet)
    reasons = {
        event["reason"]
        for event in release.kubectl.list("events")
        if "dispatch" in event["involvedObject"]["name"]
    }
    assert "SuccessfulRescale" in reasons


def pace(shop: Shop, spec: dict[str, Any]) -> None:
    """Change how fast the agency's pixel is served."""
    patch = json.dumps({"spec": spec})
    shop.site.shop.do("patch", "destination", "pixel-agencia", "--type=merge", f"--patch={patch}")


def ready_pods(release: Release, role: str) -> int:
    """Pods of a role that are ready, as its Deployment counts them."""
    status = release.kubectl.get("deployment", f"sinal-{role}").get("status", {})
    return int(status.get("readyReplicas", 0))


def depth(release: Release) -> str:
    """The metric as the autoscaler reads it."""
    items = json.loads(release.kubectl.do("get", "--raw", METRIC))["items"]
    return str(items[0]["value"])
