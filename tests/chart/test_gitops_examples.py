"""gitops/examples as Argo CD takes it: everything that is named is there, and Helm makes a platform
of it.
"""

from __future__ import annotations

import tomllib

import pytest

from sinal_crds.loading import load

from tests.chart.support.helm import Manifest, objects, render
from tests.support import gitops
from tests.support.gitops import ENVIRONMENTS, EXAMPLES, ROOT

PROJECTS = {one["metadata"]["name"]: one for one in gitops.documents(EXAMPLES / "projects.yaml")}
MADE_BY_PREPARE = {
    *((f"sinal-keyring-{part}", "keyring.json") for part in ("runtime", "edge")),
    ("sinal-keyring", "keyring.json"),
    ("sinal-admin", "admin-key"),
    ("sinal-api-login", "password"),
}


def platform(environment: str) -> list[Manifest]:
    """What Helm makes of an environment's Application `sinal`, as Argo CD calls it."""
    spec = gitops.application(environment, "sinal")["spec"]
    (source,) = [one for one in gitops.sources(spec) if "helm" in one]
    words = [word for path in gitops.values(spec) for word in ("--values", str(path))]
    return objects(
        render(*words, chart=gitops.folder(source), namespace=spec["destination"]["namespace"])
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_source_and_project_that_is_named_is_there(environment: str) -> None:
    (root,) = gitops.documents(EXAMPLES / f"root-{environment}.yaml")
    applications = [root, *gitops.documents(gitops.folder(root["spec"]["source"]))]
    assert [one["kind"] for one in applications] == ["Application"] * 4 + ["ApplicationSet"]
    for one in applications:
        spec = one["spec"] if one["kind"] == "Application" else one["spec"]["template"]["spec"]
        project = PROJECTS[spec["project"]]
        assert {source["repoURL"] for source in gitops.sources(spec)} <= set(
            project["spec"]["sourceRepos"]
        )
        for source in gitops.sources(spec):
            if "path" in source and "{{" not in source["path"]:
                assert gitops.folder(source).is_dir(), source
        assert all(path.is_file() for path in gitops.values(spec))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_platform_renders_and_names_no_secret_that_nobody_brings(environment: str) -> None:
    rendered = platform(environment)
    assert len(rendered) > 40
    brought = gitops.documents(EXAMPLES / "environments" / environment / "secrets")
    kept = {
        (one["spec"]["target"]["name"], data["secretKey"])
        for one in brought
        for data in one["spec"]["data"]
    }
    assert gitops.secrets_named(rendered) <= kept | MADE_BY_PREPARE
    assert kept <= gitops.secrets_named(rendered)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_projects_let_in_what_their_applications_bring(environment: str) -> None:
    definitions = objects(render(chart=ROOT / "charts" / "sinal-crds"))
    applications = gitops.documents(EXAMPLES / "environments" / environment)
    secrets = gitops.documents(EXAMPLES / "environments" / environment / "secrets")
    for one in [*definitions, *platform(environment), *applications, *secrets]:
        assert gitops.allowed(PROJECTS["platform"], one, namespace="sinal"), one["kind"]
    for one in gitops.documents(EXAMPLES / "tenants" / "loja"):
        assert gitops.allowed(PROJECTS["tenants"], one, namespace="tenant-loja"), one["kind"]


def test_a_tenants_project_lets_in_nothing_else() -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "x"},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    tenant = {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": "x", "namespace": "sinal"},
    }
    for one in (role, pod, tenant):
        assert not gitops.allowed(PROJECTS["tenants"], one, namespace="tenant-loja")


def test_stage_is_this_version_and_production_differs_by_name_only() -> None:
    """So that a release is promoted by a pull request that changes nothing but its number."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    folders = [EXAMPLES / "environments" / name for name in ENVIRONMENTS]
    for path in ("sinal.yaml", "secrets/sinal.yaml"):
        stage, production = ((folder / path).read_text(encoding="utf-8") for folder in folders)
        assert stage.replace("stage", "production") == production
    assert (folders[0] / "sinal.yaml").read_text(encoding="utf-8").count(
        f"targetRevision: v{version}\n"
    ) == 2


def test_the_tenants_secrets_are_those_that_its_objects_name() -> None:
    folder = EXAMPLES / "tenants" / "loja"
    brought = [one for one in gitops.documents(folder) if one["kind"] == "ExternalSecret"]
    kept = {
        one["spec"]["target"]["name"]: {data["secretKey"] for data in one["spec"]["data"]}
        for one in brought
    }
    assert {one.kind for one in load([folder]).objects} == {
        "Tenant",
        "Destination",
        "Funnel",
        "GatewayIntegration",
    }
    assert kept == {"meta-loja": {"accessToken"}, "hotmart-loja": {"hottok"}}
