"""What `helm uninstall` takes, what it leaves, and that a second installation finds its shops
again.
"""

from __future__ import annotations

import json

from tests.cluster.support.waiting import until
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.site import KINDS

OURS = ("deployments", "statefulsets", "jobs", "services", "serviceaccounts", "configmaps", "roles", "rolebindings",
        "poddisruptionbudgets", "horizontalpodautoscalers", "networkpolicies")  # fmt: skip
OF_THE_CLUSTER = ("clusterroles", "clusterrolebindings", "apiservices", "priorityclasses")
RELEASE = "app.kubernetes.io/instance=sinal"


def test_uninstalling_leaves_what_people_declared_and_secrets_and_nothing_else(
    release: Release, shop: Shop
) -> None:
    declared = names(shop.site.shop.do("get", KINDS, "-o", "json"))
    urls = webhook_urls(shop)
    release.helm.do("uninstall", "sinal", "--wait", "--timeout=120s")
    until(lambda: not release.kubectl.list("pods"), timeout_s=120)
    here = release.kubectl.do("get", ",".join(OURS), "-l", RELEASE, "-o", "json")
    everywhere = release.kubectl.do("get", ",".join(OF_THE_CLUSTER), "-l", RELEASE, "-o", "json")
    assert names(here) | names(everywhere) == set()
    release.helm.do("uninstall", "sinal-crds", "--wait")
    assert names(shop.site.shop.do("get", KINDS, "-o", "json")) == declared

    release.define()
    release.install()
    for kind in ("tenant", "gatewayintegration"):
        shop.site.shop.wait(kind, timeout_s=120)
    assert webhook_urls(shop) == urls
    with shop.traffic(per_second=5) as traffic:
        traffic.wait_for(10)
    shop.prove(traffic)


def names(listing: str) -> set[tuple[str, str]]:
    """Kinds and names of a listing."""
    return {(item["kind"], item["metadata"]["name"]) for item in json.loads(listing)["items"]}


def webhook_urls(shop: Shop) -> dict[str, str]:
    """What gateways' panels hold."""
    return {
        item["metadata"]["name"]: item["status"]["webhookURL"]
        for item in shop.site.shop.list("gatewayintegrations")
    }
