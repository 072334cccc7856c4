"""Routes of tenants: made for hosts and paths, kept right, never anybody else's, and gone with
their tenant.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.release import Release
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess

SHARED = "in.example"
TRACK = {"hosts": ["track.loja.example"]}
HOST_ROUTE, PATH_ROUTE = "sinal-h-track.loja.example", "sinal-t-loja"


@pytest.fixture
def house(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in Sinal's own namespace."""
    there = kubectl.in_namespace(f"{kubectl.namespace}-sinal")
    there.do("create", "namespace", there.namespace)
    yield there
    # a host is claimed over namespaces
    kubectl.in_namespace("").run("delete", "ingress", "--all", "--all-namespaces")


@pytest.fixture
def rights(control_plane: ControlPlane, house: Kubectl) -> Iterator[Release]:
    """The chart's rights for routes."""
    found = Release(
        control_plane, house.namespace, "own-services", "--set", "operator.routes.mode=ingress"
    )
    found.grant()
    yield found
    found.revoke()


@pytest.fixture
def routing(
    rights: Release, house: Kubectl, nats_server: NatsProcess, tmp_path: Path
) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts an operator that makes Ingresses, with the chart's rights if no others are given."""
    started: list[OperatorProcess] = []

    def start(
        *, wait: bool = True, kubeconfig: Path | None = None, **settings: str
    ) -> OperatorProcess:
        found = OperatorProcess(
            tmp_path,
            kubeconfig=kubeconfig or rights.kubeconfig("operator"),
            nats_url=nats_server.url,
            settings={
                "SINAL_PUBLIC_URL": f"https://{SHARED}",
                "SINAL_ROUTES": "ingress",
                "SINAL_ROUTES_NAMESPACE": house.namespace,
                **settings,
            },
        )
        started.append(found)
        found.start()
        if wait:
            found.wait_ready()
        return found

    yield start
    for one in started:
        one.kill()


def names(there: Kubectl) -> set[str]:
    """Ingresses of a namespace."""
    return {item["metadata"]["name"] for item in there.list("ingress")}


def accepted(kubectl: Kubectl, name: str = "loja") -> tuple[str | None, str | None]:
    """Status and reason of RoutesAccepted."""
    found = kubectl.condition("tenant", name, "RoutesAccepted")
    return found.get("status"), found.get("reason")


def site(
    name: str = "site", *, host: str = "track.loja.example", path: str = "/"
) -> dict[str, Any]:
    """Somebody else's Ingress."""
    backend = {"service": {"name": "site", "port": {"number": 80}}}
    rule = {
        "host": host,
        "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"rules": [rule]},
    }


def test_a_tenant_gets_a_route_for_each_host_and_for_its_path(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    kubectl.wait("tenant", "loja")
    assert names(house) == {HOST_ROUTE, PATH_ROUTE}
    tenant = kubectl.get("tenant", "loja")
    for name in names(house):
        labels = house.get("ingress", name)["metadata"]["labels"]
        assert labels["sinal.dev/tenant-uid"] == tenant["metadata"]["uid"]
        assert (labels["sinal.dev/tenant-namespace"], labels["sinal.dev/tenant-name"]) == (
            kubectl.namespace,
            "loja",
        )
    condition = kubectl.condition("tenant", "loja", "RoutesAccepted")
    assert condition["observedGeneration"] == tenant["metadata"]["generation"]
    assert "in.example/t/loja/, track.loja.example" in condition["message"]
    until(lambda: any(event["reason"] == "Routed" for event in kubectl.list("events")))
    (event,) = [event for event in kubectl.list("events") if event["reason"] == "Routed"]
    assert sorted(event["message"].split("; ")) == [
        f"Ingress {house.namespace}/{HOST_ROUTE} made",
        f"Ingress {house.namespace}/{PATH_ROUTE} made",
    ]
    assert "Routes" in kubectl.do("get", "tenant", "-o", "wide").splitlines()[0].title()

    kubectl.apply(shop.tenant(ingest={"hosts": ["go.loja.example"]}))
    until(lambda: names(house) == {"sinal-h-go.loja.example", PATH_ROUTE})
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    until(lambda: names(house) == set(), timeout_s=120)


def versions(there: Kubectl) -> dict[str, str]:
    """Resource versions of the Ingresses: any write changes one."""
    return {
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in there.list("ingress")
    }


def test_what_somebody_deletes_or_edits_is_put_right_and_then_it_is_quiet(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    before = {name: house.get("ingress", name)["spec"] for name in names(house)}
    house.do("delete", "ingress", HOST_ROUTE)
    away = json.dumps({"spec": {"rules": [{"host": "elsewhere.example"}]}})
    house.do("patch", "ingress", PATH_ROUTE, "--type=merge", f"--patch={away}")
    house.do("label", "ingress", PATH_ROUTE, "sinal.dev/tenant-uid=nobody", "--overwrite")
    until(lambda: {name: house.get("ingress", name).get("spec") for name in before} == before)
    uid = kubectl.get("tenant", "loja")["metadata"]["uid"]
    until(
        lambda: (
            house.get("ingress", PATH_ROUTE)["metadata"]["labels"]["sinal.dev/tenant-uid"] == uid
        )
    )

    house.do("annotate", "ingress", PATH_ROUTE, "somebody.example/note=mine")
    time.sleep(1)
    quiet = versions(house), kubectl.get("tenant", "loja")["metadata"]["resourceVersion"]
    time.sleep(8)  # more than one look of the drift loop
    assert (versions(house), kubectl.get("tenant", "loja")["metadata"]["resourceVersion"]) == quiet
    assert (
        house.get("ingress", PATH_ROUTE)["metadata"]["annotations"]["somebody.example/note"]
        == "mine"
    )


def test_nothing_that_argo_or_kubectl_note_on_the_tenant_comes_along(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing(SINAL_ROUTES_ANNOTATIONS=json.dumps({"example.com/owner": "platform"}))
    tenant = shop.tenant(
        annotations={"argocd.argoproj.io/tracking-id": "shops:sinal.dev/Tenant:shops/loja"}
    )
    tenant["metadata"]["labels"] = {"app.kubernetes.io/instance": "shops"}
    kubectl.apply(tenant)
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    metadata = house.get("ingress", PATH_ROUTE)["metadata"]
    assert set(metadata["annotations"]) == {"example.com/owner", "sinal.dev/applied"}
    assert "app.kubernetes.io/instance" not in metadata["labels"]
    shown = json.loads(
        house.do("get", "ingress", PATH_ROUTE, "-o", "json", "--show-managed-fields")
    )
    assert {entry["manager"] for entry in shown["metadata"]["managedFields"]} == {"sinal-operator"}


def test_an_object_of_that_name_that_somebody_made_is_left_to_him(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    house.apply(site(PATH_ROUTE, host="theirs.example"))
    theirs = house.get("ingress", PATH_ROUTE)
    routing()
    kubectl.apply(shop.tenant())
    until(lambda: accepted(kubectl) == ("False", "RouteForeign"))
    until(lambda: kubectl.condition("tenant", "loja").get("reason") == "RouteForeign")
    assert house.get("ingress", PATH_ROUTE) == theirs
    house.do("delete", "ingress", PATH_ROUTE)
    until(lambda: accepted(kubectl) == ("True", "RoutesMade"))
    kubectl.wait("tenant", "loja")


def test_who_routes_a_host_first_keeps_it(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(site())
    kubectl.apply(shop.tenant(ingest=TRACK))
    until(lambda: accepted(kubectl) == ("False", "HostClaimed"))
    message = kubectl.condition("tenant", "loja", "RoutesAccepted")["message"]
    assert f"track.loja.example is claimed by Ingress {kubectl.namespace}/site" in message
    assert names(house) == {PATH_ROUTE}
    kubectl.do("delete", "ingress", "site")
    until(lambda: accepted(kubectl) == ("True", "RoutesMade"))
    kubectl.apply(site())
    until(lambda: accepted(kubectl) == ("False", "HostContested"))
    assert names(house) == {PATH_ROUTE, HOST_ROUTE}
    assert kubectl.condition("tenant", "loja")["status"] == "True"


def test_a_host_of_two_tenants_is_the_older_ones_and_passes_on_without_a_gap(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    first = house.get("ingress", HOST_ROUTE)["metadata"]["uid"]
    time.sleep(1)  # creation times are whole seconds
    kubectl.apply(shop.tenant("other", ingest=TRACK))
    until(lambda: accepted(kubectl, "other") == ("False", "HostTaken"))
    assert names(house) == {PATH_ROUTE, "sinal-t-other", HOST_ROUTE}
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    until(lambda: accepted(kubectl, "other") == ("True", "RoutesMade"))
    route = house.get("ingress", HOST_ROUTE)["metadata"]
    assert (route["uid"], route["labels"]["sinal.dev/tenant-name"]) == (first, "other")
    assert names(house) == {"sinal-t-other", HOST_ROUTE}


def test_the_shared_host_is_no_tenants(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest={"hosts": [SHARED]}))
    until(lambda: accepted(kubectl) == ("False", "HostReserved"))
    assert names(house) == {PATH_ROUTE}


def test_certificates_are_asked_for_by_host_and_taken_back_with_the_setting(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    first = routing(SINAL_CERT_CLUSTER_ISSUER="letsencrypt", SINAL_INGRESS_CLASS="traefik")
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    assert names(house) == {PATH_ROUTE, HOST_ROUTE, f"sinal-h-{SHARED}"}
    for name, host, asks in (
        (HOST_ROUTE, "track.loja.example", True),
        (f"sinal-h-{SHARED}", SHARED, True),
        (PATH_ROUTE, SHARED, False),
    ):
        route = house.get("ingress", name)
        assert route["spec"]["tls"] == [{"hosts": [host], "secretName": f"sinal-tls-{host}"}]
        assert ("cert-manager.io/cluster-issuer" in route["metadata"]["annotations"]) is asks
    first.kill()
    routing()
    until(lambda: names(house) == {PATH_ROUTE, HOST_ROUTE})
    route = until(
        lambda: found if "tls" not in (found := house.get("ingress", HOST_ROUTE))["spec"] else {}
    )
    assert "ingressClassName" not in route["spec"]
    assert "cert-manager.io/cluster-issuer" not in route["metadata"]["annotations"]


def test_routes_go_with_a_suspended_tenant_and_a_dead_nats(
    routing: Callable[..., OperatorProcess],
    nats_server: NatsProcess,
    kubectl: Kubectl,
    house: Kubectl,
) -> None:
    routing(SINAL_DELETION_PATIENCE_S="2")
    kubectl.apply(shop.tenant(ingest=TRACK, suspended=True, deletionPolicy="Delete"))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    nats_server.stop()
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    until(lambda: names(house) == set(), timeout_s=120)


def test_a_tenant_without_its_finalizer_takes_its_routes_along_too(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    operator = routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    before = versions(house)
    operator.freeze()
    kubectl.do(
        "patch", "tenant", "loja", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
    )
    operator.thaw()
    until(lambda: kubectl.get("tenant", "loja")["metadata"].get("finalizers"))
    assert versions(house) == before, "they stay while the tenant is there"
    operator.freeze()
    kubectl.do("delete", "tenant", "loja", "--wait=false")
    kubectl.do(
        "patch", "tenant", "loja", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
    )
    until(lambda: kubectl.get("tenant", "loja") == {})
    operator.thaw()
    until(lambda: names(house) == set())


def test_what_was_left_while_the_operator_was_down_is_found_and_a_slug_leads_to_its_owner(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    operator = routing()
    kubectl.apply(shop.tenant(ingest=TRACK), shop.tenant("clube"), shop.tenant("curso"))
    kubectl.wait("tenant", condition="RoutesAccepted")
    operator.kill()
    kubectl.do("delete", "tenant", "loja", "clube", "--wait=false")
    for name in ("loja", "clube"):
        kubectl.do(
            "patch", "tenant", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}'
        )
    other = kubectl.in_namespace(f"{kubectl.namespace}-b")
    other.do("create", "namespace", other.namespace)
    other.apply(shop.tenant("heir", slug="loja", deletionPolicy="Delete"))
    operator.start()
    until(lambda: names(house) == {PATH_ROUTE, "sinal-t-curso"})
    uid = other.get("tenant", "heir")["metadata"]["uid"]
    until(
        lambda: (
            house.get("ingress", PATH_ROUTE)["metadata"]["labels"]["sinal.dev/tenant-uid"] == uid
        )
    )


def test_a_paused_tenant_keeps_its_routes_as_they_are_until_it_is_deleted(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    routing()
    kubectl.apply(shop.tenant(ingest=TRACK))
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")
    kubectl.do("annotate", "tenant", "loja", "sinal.dev/paused=true")
    kubectl.wait("tenant", "loja", condition="Paused")
    kubectl.apply(shop.tenant(annotations={"sinal.dev/paused": "true"}))
    house.do("delete", "ingress", PATH_ROUTE)
    time.sleep(3)
    assert names(house) == {HOST_ROUTE}
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    until(lambda: names(house) == set())


def test_what_the_api_server_forbids_is_told_and_made_once_it_is_allowed(
    control_plane: ControlPlane,
    routing: Callable[..., OperatorProcess],
    kubectl: Kubectl,
    house: Kubectl,
) -> None:
    user = f"routes-{house.namespace}"
    config = control_plane.authority.kubeconfig(user, control_plane.url, user)
    kubectl.apply(*(binding("ClusterRole", f"{user}-base", BASE, user)))
    routing(kubeconfig=config)
    kubectl.apply(shop.tenant())
    until(lambda: accepted(kubectl) == ("False", "RoutesForbidden"))
    assert (
        "cannot list resource" in kubectl.condition("tenant", "loja", "RoutesAccepted")["message"]
    )
    assert kubectl.condition("tenant", "loja", "Provisioned")["status"] == "True"
    house.apply(*binding("Role", f"{user}-see", SEE, user))
    until(
        lambda: "cannot patch" in kubectl.condition("tenant", "loja", "RoutesAccepted")["message"],
        timeout_s=120,
    )
    house.apply(*binding("Role", f"{user}-write", WRITE, user))
    until(lambda: accepted(kubectl) == ("True", "RoutesMade"), timeout_s=120)
    house.do("delete", "ingress", PATH_ROUTE)
    until(lambda: names(house) == {PATH_ROUTE})
    kubectl.do("delete", "tenant", "loja", "--timeout=120s")
    until(lambda: names(house) == set())


def rule(group: str, resources: str, verbs: str) -> dict[str, list[str]]:
    """One rule of RBAC."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


# As docs/operators/operator.md has them.
BASE = [
    rule("sinal.dev", "tenants destinations funnels gatewayintegrations", "get list watch"),
    rule(
        "sinal.dev",
        "tenants/status destinations/status funnels/status gatewayintegrations/status",
        "patch",
    ),
    rule("sinal.dev", "tenants", "patch"),
    rule("", "secrets", "get list watch"),
    rule("", "events", "create"),
    rule("", "namespaces", "list watch"),
    rule("apiextensions.k8s.io", "customresourcedefinitions", "list watch"),
]
SEE = [rule("networking.k8s.io", "ingresses", "list watch")]
WRITE = [rule("networking.k8s.io", "ingresses", "create patch delete")]


def binding(
    kind: str, name: str, rules: list[dict[str, list[str]]], user: str
) -> list[dict[str, Any]]:
    """A role and its binding to a user."""
    api = "rbac.authorization.k8s.io"
    version = {"apiVersion": f"{api}/v1"}
    subject = {"kind": "User", "name": user, "apiGroup": api}
    role_ref = {"kind": kind, "name": name, "apiGroup": api}
    return [
        {**version, "kind": kind, "metadata": {"name": name}, "rules": rules},
        {
            **version,
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "roleRef": role_ref,
            "subjects": [subject],
        },
    ]


def test_an_api_server_that_was_away_costs_no_route(
    control_plane: ControlPlane,
    routing: Callable[..., OperatorProcess],
    kubectl: Kubectl,
    house: Kubectl,
) -> None:
    operator = routing()
    kubectl.apply(shop.tenant(ingest=TRACK), shop.tenant("clube"))
    kubectl.wait("tenant", condition="RoutesAccepted")
    operator.freeze()
    control_plane.api_server.restart(signal.SIGKILL)
    house.do("delete", "ingress", HOST_ROUTE)
    operator.thaw()
    until(lambda: names(house) == {PATH_ROUTE, "sinal-t-clube", HOST_ROUTE}, timeout_s=120)
    kubectl.do("delete", "tenant", "clube", "--timeout=120s")
    until(lambda: names(house) == {PATH_ROUTE, HOST_ROUTE})


def test_a_fight_with_another_controller_is_told_and_slows_down(
    routing: Callable[..., OperatorProcess], kubectl: Kubectl, house: Kubectl
) -> None:
    operator = routing()
    kubectl.apply(shop.tenant())
    kubectl.wait("tenant", "loja", condition="RoutesAccepted")

    def spoilt() -> bool:
        away = json.dumps({"spec": {"rules": [{"host": "elsewhere.example"}]}})
        house.do("patch", "ingress", PATH_ROUTE, "--type=merge", f"--patch={away}")
        return accepted(kubectl) == ("False", "RouteEdited")

    until(spoilt, timeout_s=120, pause_s=0.5)
    assert operator.log.read_text().count("changed") < 8
    until(lambda: accepted(kubectl) == ("True", "RoutesMade"), timeout_s=120)
