"""GitOps over a real API server: health of statuses as the operator writes them, and nothing to
differ afterwards.

`RECORD=1` writes the fixtures of gitops/argocd anew from what happens here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from gitops.argocd.script import health
from tests.cluster.support import shop
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import until
from tests.support import argo

EXAMPLES = Path(__file__).parents[2] / "gitops" / "examples" / "tenants" / "loja"
KINDS = {
    "tenant": "loja",
    "destination": "pixel",
    "funnel": "curso",
    "gatewayintegration": "vendas",
}
TENANT = tuple(sorted(path for path in EXAMPLES.glob("*.yaml") if path.name != "secrets.yaml"))
FILES = tuple(word for path in TENANT for word in ("-f", str(path)))
ARGO = ("--server-side", "--field-manager=argocd-controller")


def becomes(
    kubectl: Kubectl, kind: str, name: str, status: str, fixture: str, reason: str = ""
) -> None:
    """Wait until Argo CD would say so, and see that the fixture is still what the operator
    writes.
    """

    def so() -> dict[str, Any]:
        found = kubectl.get(kind, name)
        answer = health(found)
        fits = answer["status"] == status and reason in answer["message"]
        return found if fits else {}

    found = until(so, timeout_s=120)
    path = argo.path_of(found["kind"], fixture)
    if os.environ.get("RECORD"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(argo.fixture(found), sort_keys=False, width=1000))
    assert argo.told(argo.load(path)) == argo.told(found), (
        f"{path.name}: record it anew with RECORD=1"
    )


def test_before_an_operator_has_looked(kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Progressing", "progressing_unseen")


def test_as_declared(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Healthy", "healthy")
    kubectl.apply(shop.tenant(suspended=True))
    becomes(kubectl, "tenant", "loja", "Healthy", "healthy_suspended_by_spec", "Suspended")


def test_what_a_person_has_to_mend(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.tenant(), shop.destination(), shop.funnel(of="nobody"), shop.integration())
    becomes(
        kubectl, "destination", "pixel", "Degraded", "degraded_secret_not_found", "SecretNotFound"
    )
    becomes(kubectl, "funnel", "curso", "Degraded", "degraded_tenant_not_found", "TenantNotFound")
    becomes(kubectl, "gatewayintegration", "vendas", "Degraded", "degraded_funnel_of_another", "")
    kubectl.apply(shop.tenant("other", slug="loja"))
    becomes(kubectl, "tenant", "other", "Degraded", "degraded_slug_taken", "SlugTaken")


def test_paused_by_a_person(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Healthy", "healthy")
    kubectl.do("annotate", "tenant", "loja", "sinal.dev/paused=true")
    kubectl.do("patch", "tenant", "loja", "--type=merge", '--patch={"spec":{"country":"PT"}}')
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Suspended", "suspended_paused")
    kubectl.do("annotate", "tenant", "loja", "sinal.dev/paused-")
    becomes(kubectl, "tenant", "loja", "Healthy", "healthy")


def test_a_change_that_nobody_has_seen_yet(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Healthy", "healthy")
    running.freeze()
    changes = {
        "tenant": {"country": "PT"},
        "destination": {"onDoubt": "Park"},
        "funnel": {"landingHosts": ["a.example"]},
        "gatewayintegration": {"products": ["1"]},
    }
    for kind, name in KINDS.items():
        kubectl.do(
            "patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': changes[kind]})}"
        )
        becomes(kubectl, kind, name, "Progressing", "progressing_new_generation", "latest change")
    running.thaw()
    for kind, name in KINDS.items():
        becomes(kubectl, kind, name, "Healthy", "healthy")


def test_nothing_differs_after_the_operator_has_run(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    """`argocd app diff` of the example tenant: the same manifests, applied again by Argo CD, change
    nothing.
    """
    kubectl.apply(shop.secret("meta-loja"), shop.secret("hotmart-loja", hottok=b"hottok-1"))
    kubectl.do("apply", *ARGO, *FILES)
    manifests = [yaml.safe_load(path.read_text()) for path in TENANT]
    assert len(manifests) == len(KINDS)
    for one in manifests:
        kind, name = one["kind"].lower(), one["metadata"]["name"]
        until(
            lambda kind=kind, name=name: (  # type: ignore[misc]
                health(kubectl.get(kind, name))["status"] == "Healthy"
            ),
            timeout_s=120,
        )
    differs = kubectl.run("diff", *ARGO, *FILES)
    assert differs.returncode == 0, differs.stdout + differs.stderr
    for one in manifests:
        live = kubectl.get(one["kind"].lower(), one["metadata"]["name"])
        dry = json.loads(
            kubectl.do(
                "apply", *ARGO, "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(one)
            )
        )
        for document in (live, dry):
            document["metadata"].pop("managedFields", None)
        assert dry == live
        assert _told(one["spec"], live["spec"]), (
            "a comparison at the client's side would find a difference"
        )


def _told(wanted: Any, live: Any) -> bool:
    """Whether all that is wanted stands there, lists whole: what a comparison without the server
    looks at.
    """
    if isinstance(wanted, dict):
        return all(name in live and _told(value, live[name]) for name, value in wanted.items())
    return bool(wanted == live)


def test_the_operator_owns_nothing_that_git_does(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.secret("meta-loja"), shop.secret("hotmart-loja", hottok=b"hottok-1"))
    kubectl.do("apply", *ARGO, *FILES)
    until(lambda: health(kubectl.get("tenant", "loja"))["status"] == "Healthy", timeout_s=120)
    tenant = json.loads(kubectl.do("get", "tenant", "loja", "-o", "json", "--show-managed-fields"))
    others = [
        one["fieldsV1"]
        for one in tenant["metadata"]["managedFields"]
        if one["manager"] != "argocd-controller"
    ]
    assert others
    assert all("f:spec" not in fields for fields in others)
    owned = {name for fields in others for name in fields.get("f:metadata", {})}
    assert owned <= {"f:finalizers"}
