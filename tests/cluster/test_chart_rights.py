"""Least privilege, by attempts: each account of the chart may do exactly what is written here, and
nothing else.

Each of the accounts tries every verb on every resource below, in the release's namespace, in
another one and over the whole cluster; a right that this page does not list fails the test as one
that is missing does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.release import Release
from tests.cluster.support.reviews import Attempt, Reviews

OURS = "sinal-test"  # the release's namespace
SHOP = "shop-test"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
KINDS = ("tenants", "destinations", "funnels", "gatewayintegrations")
EXTERNAL = "v1beta1.external.metrics.k8s.io"
RESOURCES = (
    *(f"sinal.dev/{kind}" for kind in KINDS),
    *(f"sinal.dev/{kind}/status" for kind in KINDS),
    "/secrets",
    "/configmaps",
    "/events",
    "/pods",
    "/pods/exec",
    "/services",
    "/serviceaccounts",
    "/serviceaccounts/token",
    "/namespaces",
    "/nodes",
    "apps/deployments",
    "apps/deployments/scale",
    "batch/jobs",
    "coordination.k8s.io/leases",
    "networking.k8s.io/ingresses",
    "gateway.networking.k8s.io/httproutes",
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/rolebindings",
    "apiextensions.k8s.io/customresourcedefinitions",
    "apiregistration.k8s.io/apiservices",
    "authentication.k8s.io/tokenreviews",
    "authorization.k8s.io/subjectaccessreviews",
    "external.metrics.k8s.io/sinal_queue_depth",
)
NAMES = {
    "/secrets": (
        "sinal-metrics-adapter-tls",
        "sinal-keyring",
        "sinal-admin",
        "sinal-evaluation",
        "other",
    ),
    "/configmaps": ("extension-apiserver-authentication", "other"),
    "coordination.k8s.io/leases": ("sinal-operator", "other"),
    "apiregistration.k8s.io/apiservices": (EXTERNAL, "v1.apps"),
    "apiextensions.k8s.io/customresourcedefinitions": (
        *(f"{kind}.sinal.dev" for kind in KINDS),
        "others.example",
    ),
}
ATTEMPTS = [
    Attempt(namespace, resource, verb, name)
    for namespace in (OURS, SHOP, "kube-system", "")
    for resource in RESOURCES
    for verb in VERBS
    for name in ("", *NAMES.get(resource, ()))
]
READ = ("get", "list", "watch")

Right = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def rights(*given: Right) -> set[Attempt]:
    """Namespaces, resources, verbs and names, each with each.

    A right on any name is one on each name.
    """
    return {
        Attempt(namespace, resource, verb, name)
        for namespaces, resources, verbs, names in given
        for namespace in namespaces
        for resource in resources
        for verb in verbs
        for name in (names or ("", *NAMES.get(resource, ())))
    }


def serves(*namespaces: str) -> tuple[Right, ...]:
    """The operator's rights where it serves."""
    return (
        (namespaces, tuple(f"sinal.dev/{kind}" for kind in KINDS), READ, ()),
        (namespaces, tuple(f"sinal.dev/{kind}/status" for kind in KINDS), ("get", "patch"), ()),
        (namespaces, ("sinal.dev/tenants",), ("patch",), ()),
        (namespaces, ("/secrets",), READ, ()),
        (namespaces, ("/events",), ("create", "patch"), ()),
    )


ALL = (OURS, SHOP, "kube-system", "")
# A role without names covers the whole cluster and each namespace.
CLUSTER_OPERATOR = serves(*ALL)
LOOKING_ROUND: tuple[Right, ...] = (
    (ALL, ("/namespaces", "apiextensions.k8s.io/customresourcedefinitions"), ("list", "watch"), ()),
)
LEASE: tuple[Right, ...] = (
    ((OURS,), ("coordination.k8s.io/leases",), ("create",), ()),
    ((OURS,), ("coordination.k8s.io/leases",), ("get", "update"), ("sinal-operator",)),
)
ROUTES = ("networking.k8s.io/ingresses", "gateway.networking.k8s.io/httproutes")
DEFINED = tuple(f"{kind}.sinal.dev" for kind in KINDS)
PREPARING: tuple[Right, ...] = (
    ((OURS,), ("/secrets",), ("create",), ()),
    (ALL, ("apiextensions.k8s.io/customresourcedefinitions",), ("get",), DEFINED),
    (ALL, ("apiregistration.k8s.io/apiservices",), ("get",), (EXTERNAL,)),
)
ADAPTER: tuple[Right, ...] = (
    ((OURS,), ("/secrets",), ("create",), ()),
    ((OURS,), ("/secrets",), ("get", "update"), ("sinal-metrics-adapter-tls",)),
    (("kube-system",), ("/configmaps",), READ, ("extension-apiserver-authentication",)),
    (ALL, ("authentication.k8s.io/tokenreviews",), ("create",), ()),
    (ALL, ("authorization.k8s.io/subjectaccessreviews",), ("create",), ()),
    (ALL, ("apiregistration.k8s.io/apiservices",), ("get", "patch"), (EXTERNAL,)),
)
RUNTIME = ("ingest", "match", "dispatch", "api", "housekeeping")

EXPECTED: dict[tuple[str, str], set[Attempt]] = {
    **{("own-services", role): set() for role in RUNTIME},
    ("own-services", "operator"): rights(*CLUSTER_OPERATOR, *LOOKING_ROUND, *LEASE),
    ("own-services", "prepare"): rights(
        *PREPARING, ((OURS,), ("/secrets",), ("get",), ("sinal-keyring", "sinal-admin"))
    ),
    ("evaluation", "prepare"): rights(
        *PREPARING,
        ((OURS,), ("/secrets",), ("get",), ("sinal-keyring", "sinal-admin", "sinal-evaluation")),
    ),
    ("ingress", "operator"): rights(
        *CLUSTER_OPERATOR,
        *LOOKING_ROUND,
        *LEASE,
        (ALL, ROUTES, ("list", "watch"), ()),
        ((OURS,), ROUTES, ("create", "patch", "delete"), ()),
    ),
    ("ingress", "api"): rights(
        (ALL, ("sinal.dev/funnels",), ("create", "patch"), ()),
        (
            ALL,
            ("sinal.dev/tenants", "sinal.dev/destinations", "sinal.dev/gatewayintegrations"),
            ("patch",),
            (),
        ),
    ),
    ("external-metrics", "metrics-adapter"): rights(*ADAPTER),
    ("external-metrics", "prepare"): rights(*PREPARING),
    ("keda", "metrics-adapter"): set(),
    ("namespaced", "operator"): rights(*serves(SHOP), *LEASE),
    ("namespaced", "prepare"): rights(
        ((OURS,), ("/secrets",), ("create",), ()),
        ((OURS,), ("/secrets",), ("get",), ("sinal-keyring", "sinal-admin")),
    ),
}
WORDS = {"namespaced": ("--set", f"watchNamespaces={{{SHOP}}}")}


@pytest.fixture(scope="module", params=sorted({which for which, _ in EXPECTED}))
def release(
    request: pytest.FixtureRequest, control_plane: ControlPlane
) -> Iterator[tuple[str, Release]]:
    admin = Kubectl(control_plane.kubeconfig)
    for namespace in (OURS, SHOP):
        admin.run("create", "namespace", namespace)
    found = Release(control_plane, OURS, request.param, *WORDS.get(request.param, ()))
    found.grant()
    yield request.param, found
    found.revoke()


async def test_each_account_may_do_what_is_listed_and_nothing_else(
    control_plane: ControlPlane, release: tuple[str, Release]
) -> None:
    which, _ = release
    reviews = Reviews(control_plane, OURS)
    for (of, role), expected in EXPECTED.items():
        if of == which:
            found = await reviews.allowed(f"sinal-{role}", ATTEMPTS)
            assert (sorted(found - expected), sorted(expected - found)) == ([], []), (
                f"{which}: {role}"
            )


def test_no_pod_of_the_runtime_carries_a_token(release: tuple[str, Release]) -> None:
    which, found = release
    carrying = set()
    for manifest in found.objects:
        pod = manifest["spec"].get("template", {}).get("spec") if "spec" in manifest else None
        if pod is not None and pod["automountServiceAccountToken"]:
            carrying.add(manifest["metadata"]["labels"]["app.kubernetes.io/component"])
    with_their_own = {"external-metrics": {"metrics-adapter"}, "ingress": {"api"}}
    assert carrying == {"operator", "prepare", *with_their_own.get(which, ())}
    for manifest in found.objects:
        if manifest["kind"] == "ServiceAccount":
            assert manifest["automountServiceAccountToken"] is False


async def test_people_see_and_edit_through_the_clusters_own_roles(
    control_plane: ControlPlane, release: tuple[str, Release]
) -> None:
    """The aggregated roles say what the cluster's view, edit and admin get (its controllers add it
    up).
    """
    which, found = release
    people = {
        role["metadata"]["name"].rpartition("-")[2]: role
        for role in found.objects
        if role["kind"] == "ClusterRole"
        and any("aggregate-to" in label for label in role["metadata"]["labels"])
    }
    if which == "namespaced":
        assert people == {}
        return
    assert sorted(people) == ["admin", "edit", "view"]
    verbs = {
        name: sorted({verb for rule in role["rules"] for verb in rule["verbs"]})
        for name, role in people.items()
    }
    assert verbs == {
        "view": ["get", "list", "watch"],
        "edit": ["create", "delete", "get", "list", "patch", "update", "watch"],
        "admin": ["deletecollection"],
    }
    viewed = {resource for rule in people["view"]["rules"] for resource in rule["resources"]}
    assert not {one for one in viewed if one.startswith("gatewayintegrations")}, (
        "their statuses hold webhook URLs"
    )
    for role in people.values():
        assert {group for rule in role["rules"] for group in rule["apiGroups"]} == {"sinal.dev"}
