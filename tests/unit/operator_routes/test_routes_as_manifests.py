"""The routes that a tenant is to have, word for word, and what must never be in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sinal_crds.names import own_path
from sinal_hub.ingest.http import routes as edge
from sinal_hub.intake.tracking_schema import KINDS
from sinal_operator.cluster.routes import RouteOptions, desired

from tests.unit.operator_routes.plans import options, plan

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, RouteOptions] = {
    "ingress": options(),
    "ingress-tls": options(
        ingress_class="traefik",
        cluster_issuer="letsencrypt",
        annotations={"traefik.ingress.kubernetes.io/router.priority": "10"},
    ),
    "gateway": options("gateway", port=80, service="edge"),
    "gateway-section": options("gateway", gateway="infra/public/https"),
}
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
LONG = ".".join(["a" * 61] * 4)  # 247 characters, and names have prefixes
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@pytest.mark.parametrize("name", CASES)
def test_manifests_are_as_they_were_agreed(name: str) -> None:
    loja = plan(hosts=("track.loja.example", "go.loja.example"))
    found = [*desired.of_installation(CASES[name]), *desired.routes(loja, CASES[name])]
    assert list(yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text())) == [
        one.body for one in found
    ]


def test_nothing_of_the_tenants_metadata_is_copied() -> None:
    theirs = plan(
        hosts=("track.loja.example",),
        annotations={
            "argocd.argoproj.io/tracking-id": "shops:sinal.dev/Tenant:shops/loja",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
        labels={"app.kubernetes.io/instance": "shops"},
    )
    assert desired.routes(theirs, options()) == desired.routes(
        plan(hosts=("track.loja.example",)), options()
    )


def test_every_public_path_of_the_edge_is_routed_and_its_metrics_are_not() -> None:
    (_, host) = desired.routes(plan(hosts=("track.loja.example",)), options())
    paths = host.body["spec"]["rules"][0]["http"]["paths"]
    prefixes = tuple(path["path"] for path in paths if path["pathType"] == "Prefix")
    exact = {path["path"] for path in paths if path["pathType"] == "Exact"}
    public = [
        "/s.js",
        "/api/v1/track/batch",
        "/api/v1/track/p.gif",
        *(f"/api/v1/track/{kind}" for kind in KINDS),
        f"/{own_path('loja')}",
        f"/{own_path('loja')}/s.js",
        "/api/v1/webhooks/hotmart",
        "/api/v1/webhooks/hotmart/token",
    ]
    for path in public:
        assert edge.find(path) is not None
        assert path in exact or path.startswith(prefixes)
    for path in ("/metrics", "/readyz", "/healthz"):
        # the others have a listener of their own
        assert (edge.find(path) is not None) == (path == "/healthz")
        assert path not in exact
        assert not path.startswith(prefixes)


def test_a_tenant_that_claims_the_shared_host_does_not_get_it() -> None:
    found = desired.routes(plan(hosts=("in.example", "track.loja.example")), options())
    assert [str(one.place) for one in found] == ["in.example/t/loja/", "track.loja.example"]


def test_the_shared_hosts_certificate_has_one_owner() -> None:
    tls = CASES["ingress-tls"]
    asking = [
        one.place
        for one in (
            *desired.of_installation(tls),
            *desired.routes(plan(), tls),
            *desired.routes(plan("other"), tls),
        )
        if "cert-manager.io/cluster-issuer" in one.body["metadata"]["annotations"]
    ]
    assert asking == [desired.HostPath("in.example")]


@given(st.lists(hosts, unique=True, max_size=20), st.lists(labels, unique=True, max_size=20))
@example([LONG, f"b.{LONG}", f"{LONG}.b"], ["a", "a-a"])
def test_names_are_valid_and_each_place_has_its_own(found: list[str], slugs: list[str]) -> None:
    places = [
        *map(desired.HostPath, found),
        *(desired.HostPath("in.example", f"/t/{slug}/") for slug in slugs),
    ]
    names = {place: desired.object_name(place) for place in places}
    assert len(set(names.values())) == len(names)
    for name in [*names.values(), *map(desired.secret_name, found)]:
        assert len(name) <= 253
        assert SUBDOMAIN.fullmatch(name)


@given(st.sampled_from(sorted(CASES)), st.lists(hosts, unique=True, max_size=4))
def test_the_same_plan_gives_the_same_bytes(case: str, found: list[str]) -> None:
    bodies = [
        json.dumps([one.body for one in desired.routes(plan(hosts=tuple(found)), CASES[case])])
        for _ in range(2)
    ]
    assert bodies[0] == bodies[1]
