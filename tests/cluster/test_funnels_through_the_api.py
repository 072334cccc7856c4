"""A funnel declared through the operations API becomes an object of the cluster, within the rights
granted to it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.waiting import until
from tests.support.platform import Platform

USER = "sinal-api"
RIGHTS = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "sinal-api"},
            "rules": [
                {
                    "apiGroups": ["sinal.dev"],
                    "resources": ["funnels"],
                    "verbs": ["create", "patch"],
                },
                {
                    "apiGroups": ["sinal.dev"],
                    "resources": ["tenants", "destinations", "gatewayintegrations"],
                    "verbs": ["patch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "sinal-api"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "sinal-api",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ],
}


@dataclass
class Api:
    """The operations API of a running platform."""

    url: str
    headers: dict[str, str]
    session: aiohttp.ClientSession

    async def declare(self, name: str, **spec: Any) -> tuple[int, dict[str, Any]]:
        """`POST /api/v1/funnels` for the tenant `loja`."""
        body = {"tenant": "loja", "name": name, "spec": spec}
        async with self.session.post(
            f"{self.url}/api/v1/funnels", json=body, headers=self.headers
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def suspend(self, kind: str, name: str, stopped: bool) -> tuple[int, dict[str, Any]]:
        """`PUT /api/v1/suspensions` for a part of the tenant `loja`, or for it."""
        body = {"tenant": "loja", "kind": kind, "name": name, "suspended": stopped}
        async with self.session.put(
            f"{self.url}/api/v1/suspensions", json=body, headers=self.headers
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def suspended(self) -> set[tuple[str, str]]:
        """What stands still now."""
        async with self.session.get(
            f"{self.url}/api/v1/suspensions", headers=self.headers
        ) as answer:
            return {(one["kind"], one["name"]) for one in (await answer.json())["suspended"]}

    async def names(self) -> set[str]:
        """Funnels as they work now."""
        async with self.session.get(f"{self.url}/api/v1/funnels", headers=self.headers) as answer:
            return {one["name"] for one in (await answer.json())["funnels"]}


@pytest.fixture
async def api(control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> AsyncIterator[Api]:
    """Operator and API beside a cluster.

    The API may apply manifests, as a user that has no right yet.
    """
    settings = {"KUBECONFIG": str(control_plane.kubeconfig)}
    platform = Platform(tmp_path, manifests=[], settings=settings, roles=("operator",))
    settings["SINAL_PUBLIC_URL"] = platform.ingest
    try:
        await platform.start()
        settings["KUBECONFIG"] = str(
            control_plane.authority.kubeconfig("sinal-api", control_plane.url, USER)
        )
        settings["SINAL_MANIFEST_APPLY"] = "true"
        platform.start_role("api")
        # A connection for each request: one that is kept is closed by the server while a test waits
        # for the cluster.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True)
        ) as session:
            kubectl.apply(shop.shop())
            kubectl.wait("tenant", "loja", timeout_s=120)
            found = Api(platform.api, platform.admin, session)
            await platform.roles["api"].ready(lambda: _knows(found, "curso"))
            yield found
    finally:
        await platform.stop()


def grant(kubectl: Kubectl) -> None:
    """Give the API its rights, and wait until the API server goes by them."""
    kubectl.apply(RIGHTS)
    wish = ("auth", "can-i", "patch", "funnels.sinal.dev", f"--as={USER}")
    until(lambda: kubectl.run(*wish).returncode == 0)


async def _knows(api: Api, funnel: str) -> bool:
    try:
        return funnel in await api.names()
    except aiohttp.ClientError:
        return False


async def test_what_the_rights_allow_becomes_ready(api: Api, kubectl: Kubectl) -> None:
    status, refused = await api.declare("novo", destinationRefs=["pixel"])
    assert status == 403
    assert "`create` and `patch` on `funnels.sinal.dev`" in refused["detail"]
    assert kubectl.namespace in refused["detail"]
    assert kubectl.run("get", "funnel", "novo").returncode != 0

    grant(kubectl)
    status, made = await api.declare(
        "novo", destinationRefs=["pixel"], landingHosts=["novo.example"]
    )
    assert (status, made.get("kept_as")) == (
        201,
        f"funnels.sinal.dev/novo in {kubectl.namespace}",
    ), made
    kubectl.wait("funnel", "novo", timeout_s=120)
    there = json.loads(kubectl.do("get", "funnel", "novo", "-o", "json", "--show-managed-fields"))
    assert there["spec"]["landingHosts"] == ["novo.example"]
    owners = {entry["manager"]: entry["operation"] for entry in there["metadata"]["managedFields"]}
    assert owners["sinal-api"] == "Apply"
    assert await _knows(api, "novo")
    status, again = await api.declare("novo", destinationRefs=["pixel"])
    assert status == 409, again


async def test_a_field_of_somebody_else_is_not_taken(api: Api, kubectl: Kubectl) -> None:
    grant(kubectl)
    kubectl.apply(shop.tenant("outra"))
    kubectl.apply(shop.funnel("alheio", of="outra"))
    status, refused = await api.declare("alheio", destinationRefs=["pixel"])
    assert status == 409
    (fault,) = [error for error in refused["errors"] if error["field"] == "spec.tenantRef"]
    assert "kubectl" in fault["message"]
    assert "spec.tenantRef" in refused["detail"]
    assert kubectl.get("funnel", "alheio")["spec"]["tenantRef"] == "outra"


async def test_what_a_policy_of_the_cluster_refuses_is_told_in_its_words(
    api: Api, kubectl: Kubectl
) -> None:
    grant(kubectl)
    policy = f"no-funnels-{kubectl.namespace}"
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": policy}}
    rule = {
        "apiGroups": ["sinal.dev"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["funnels"],
    }
    names = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    }
    matches = {"resourceRules": [rule], **names}
    says = {
        "expression": "!object.metadata.name.startsWith('proibido')",
        "message": "names of the marketing team only",
    }
    kubectl.apply({**group, "kind": "ValidatingAdmissionPolicy",
                   "spec": {"matchConstraints": matches, "validations": [says]}})  # fmt: skip
    kubectl.apply({**group, "kind": "ValidatingAdmissionPolicyBinding",
                   "spec": {"policyName": policy, "validationActions": ["Deny"]}})  # fmt: skip
    try:
        trial = ("create", "--dry-run=server", "-f", "-")
        text = json.dumps(shop.funnel("proibido-0"))
        until(lambda: kubectl.run(*trial, stdin=text).returncode != 0, timeout_s=120)
        status, refused = await api.declare("proibido", destinationRefs=["pixel"])
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            kubectl.run("delete", kind, policy)
    assert status == 422, refused
    assert "names of the marketing team only" in refused["detail"]


async def test_each_kind_is_suspended_and_resumed(api: Api, kubectl: Kubectl) -> None:
    names = {
        "Funnel": "curso",
        "Destination": "pixel",
        "GatewayIntegration": "vendas",
        "Tenant": "loja",
    }
    status, refused = await api.suspend("Destination", "pixel", True)
    assert status == 403 and "the verbs `patch` on `destinations.sinal.dev`" in refused["detail"]
    grant(kubectl)
    for kind, name in names.items():
        status, made = await api.suspend(kind, name, True)
        assert status == 200, made
        until(partial(says, kubectl, kind, name, "Suspended"))
    assert await api.suspended() == set(names.items())
    kubectl.apply(shop.shop())  # who says nothing of it takes nothing back
    assert kubectl.get("destination", "pixel")["spec"]["suspended"] is True
    for kind, name in names.items():
        assert (await api.suspend(kind, name, False))[0] == 200
        until(partial(says, kubectl, kind, name, "Ready"))
    assert await api.suspended() == set()


async def test_what_somebody_has_applied_on_the_servers_side_stays_theirs(
    api: Api, kubectl: Kubectl
) -> None:
    grant(kubectl)
    pixel = shop.destination()
    pixel["spec"]["suspended"] = False
    kubectl.do(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=flux",
        "-f",
        "-",
        stdin=json.dumps(pixel),
    )
    status, refused = await api.suspend("Destination", "pixel", True)
    assert status == 409, refused
    assert [(one["field"], "'flux'" in one["message"]) for one in refused["errors"]] == [
        ("spec.suspended", True)
    ]
    assert kubectl.get("destination", "pixel")["spec"]["suspended"] is False


def says(kubectl: Kubectl, kind: str, name: str, reason: str) -> bool:
    """Whether an object's condition has this reason."""
    return bool(kubectl.condition(kind.lower(), name).get("reason") == reason)
