"""Attack: a tenant declares through the API a funnel that its neighbour in the namespace has in a
file.

Before: all files were refused from then on, the neighbour's changes never worked, and the platform
did not start again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sinal_api.app import Parts, build
from sinal_cli.declared import Declared, read
from sinal_cli.local import changes
from sinal_cli.offline import check_manifests
from sinal_crds.keyring import Keyring
from sinal_hub.services.manifest_sink import FolderSink

from tests.support.fix_operations import ApiRig

KEYRING = Keyring.generate()
SHOPS = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {}
---
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: outra}
spec: {}
---
"""
FUNNEL = """
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {{name: curso}}
spec: {{tenantRef: {tenant}, type: Perpetual, landingHosts: [{host}]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's file of `loja`, and what `outra` made through the API before it: its name sorts
    first.
    """
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "shops.yaml").write_text(
        SHOPS + FUNNEL.format(tenant="loja", host="loja.example")
    )
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "default.funnel.curso.yaml").write_text(
        FUNNEL.format(tenant="outra", host="rival.example")
    )
    return tmp_path


def hosts(declared: Declared) -> dict[str, list[tuple[str, ...]]]:
    return {
        plan.slug: [one.landing_hosts for one in plan.funnels]
        for plan in declared.compilation.plans
    }


@pytest.mark.parametrize("order", [("people", "made"), ("made", "people"), (".",)])
def test_what_the_api_made_costs_itself_alone_and_never_wins(
    folder: Path, order: tuple[str, ...]
) -> None:
    declared = read([folder / name for name in order], KEYRING, made=folder / "made")
    assert hosts(declared) == {"loja": [("loja.example",)], "outra": []}
    (left,) = declared.duplicates
    assert (
        left.file.endswith("default.funnel.curso.yaml")
        and "shops.yaml:13, which counts" in left.message
    )


def test_of_two_files_of_people_the_first_counts_by_their_names(folder: Path) -> None:
    (folder / "people" / "a.yaml").write_text(FUNNEL.format(tenant="loja", host="first.example"))
    assert hosts(read([folder / "people"], KEYRING))["loja"] == [("first.example",)]


def test_a_file_that_is_named_twice_is_read_once(folder: Path) -> None:
    people = folder / "people"
    assert read([people, people / "shops.yaml"], KEYRING).duplicates == ()


def test_the_check_fails_and_names_both(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_manifests([folder]) == 1
    said = capsys.readouterr().err
    assert "default.funnel.curso.yaml:2" in said and "shops.yaml:13" in said


def test_a_terminal_is_told_once_and_when_it_is_mended(folder: Path) -> None:
    twice = read([folder], KEYRING, made=folder / "made")
    (line,) = changes.troubles(Declared(), twice)
    assert line[0] == "problem" and "Funnel default/curso" in line[1] and "shops.yaml:13" in line[1]
    assert list(changes.troubles(twice, twice)) == []
    once = read([folder / "people"], KEYRING)
    assert list(changes.troubles(twice, once)) == [
        ("mended", "Funnel default/curso: is defined once")
    ]


async def test_a_neighbours_name_is_refused_before_it_is_written(
    api_rig: ApiRig, tmp_path: Path
) -> None:
    sink = FolderSink(tmp_path)
    api_rig.app = build(
        Parts(api_rig.database, api_rig.bus, api_rig.plans, api_rig.secret, sink=sink)
    )
    rival = await api_rig.key(tenant="outra", role="admin")
    taken = await api_rig.call("POST", "/api/v1/funnels", key=rival, json={"name": "curso"})
    assert taken.status_code == 409 and "choose another" in taken.json()["detail"]
    assert "loja" not in taken.text
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240
    free = await api_rig.call("POST", "/api/v1/funnels", key=rival, json={"name": "outro-curso"})
    assert free.status_code == 201, free.text
