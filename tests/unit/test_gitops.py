"""The script of health says what Argo CD should show of statuses that an operator wrote.

Files are made from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sinal_crds.loading import load

from gitops import argocd
from gitops.argocd.script import health
from tests.support import argo

EXAMPLES = Path(__file__).parents[2] / "gitops" / "examples"
FIXTURES = sorted((argocd.HERE / "resource_customizations").glob("*/*/testdata/*.yaml"))
EXPECTED = {
    "healthy": "Healthy",
    "degraded": "Degraded",
    "progressing": "Progressing",
    "suspended": "Suspended",
}


def obj(
    *conditions: tuple[str, str, str], generation: int = 2, observed: int | None = 2
) -> dict[str, Any]:
    listed = [
        {"type": t, "status": s, "reason": r, "message": f"about {r}"} for t, s, r in conditions
    ]
    status: dict[str, Any] = {"conditions": listed}
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"generation": generation}, "status": status}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parts[-3]} {path.stem}")
def test_what_an_operator_wrote_is_shown_as_it_should(path: Path) -> None:
    answer = health(argo.load(path))
    assert answer["status"] == EXPECTED[path.stem.partition("_")[0]]
    assert answer["message"]


@pytest.mark.parametrize("kind", argocd.KINDS)
def test_each_kind_has_a_fixture_of_each_status(kind: str) -> None:
    assert {path.stem.partition("_")[0] for path in FIXTURES if path.parts[-3] == kind} == set(
        EXPECTED
    )


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"metadata": {"generation": 1}}, "Progressing"),
        ({"metadata": {"generation": 1}, "status": {}}, "Progressing"),
        (obj(("Ready", "Unknown", "Pending"), observed=None), "Progressing"),
        (obj(("Ready", "True", "Ready")), "Healthy"),
        (obj(("Ready", "True", "Ready"), observed=1), "Progressing"),
        (obj(("Ready", "False", "SlugTaken")), "Degraded"),
        (obj(("Ready", "False", "SlugTaken"), observed=1), "Progressing"),
        (obj(("Ready", "False", "TenantNotReady")), "Progressing"),
        (obj(("Ready", "False", "Deleting")), "Progressing"),
        (obj(("Ready", "Unknown", "BrokerUnavailable")), "Progressing"),
        (obj(("Ready", "True", "Ready"), ("Paused", "True", "Paused"), observed=1), "Suspended"),
        (obj(("Ready", "True", "Ready"), ("Paused", "False", "Paused")), "Healthy"),
    ],
)
def test_each_rule(given: dict[str, Any], status: str) -> None:
    assert health(given)["status"] == status


def test_the_message_says_why() -> None:
    assert health(obj(("Ready", "False", "SlugTaken")))["message"] == "SlugTaken: about SlugTaken"


@pytest.mark.parametrize("path", argocd.made(), ids=lambda path: str(path.relative_to(argocd.HERE)))
def test_files_are_made_from_the_script(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == argocd.made()[path], "run: make gitops"


@pytest.mark.parametrize("kind", argocd.KINDS)
def test_fixtures_are_listed_as_argo_cd_wants_them(kind: str) -> None:
    tests = yaml.safe_load((argocd.tree(kind) / "health_test.yaml").read_text())["tests"]
    there = {f"testdata/{path.name}" for path in (argocd.tree(kind) / "testdata").iterdir()}
    assert {test["inputPath"] for test in tests} == there
    assert all(set(test["healthStatus"]) == {"status", "message"} for test in tests)


def test_the_example_tenant_is_valid() -> None:
    loaded = load([EXAMPLES / "tenants" / "loja"])
    assert len(list(loaded.objects)) == 4


def waves(path: Path) -> dict[str, int]:
    documents = [
        one for file in sorted(path.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())
    ]
    wave = "argocd.argoproj.io/sync-wave"
    return {
        one["kind"] + " " + one["metadata"]["name"]: int(one["metadata"]["annotations"][wave])
        for one in documents
    }


def test_what_others_refer_to_comes_in_an_earlier_wave() -> None:
    tenant = waves(EXAMPLES / "tenants" / "loja")
    assert list(sorted(tenant, key=tenant.__getitem__)) == [
        "ExternalSecret meta-loja",
        "ExternalSecret hotmart-loja",
        "Tenant loja",
        "Destination pixel",
        "Funnel curso",
        "GatewayIntegration hotmart",
    ]
    for environment in ("stage", "production"):
        platform = waves(EXAMPLES / "environments" / environment)
        first = max(platform["Application sinal-crds"], platform["Application sinal-secrets"])
        assert first < platform["Application sinal"] < platform["ApplicationSet sinal-tenants"]
