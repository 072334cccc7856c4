"""Reading manifests: as kubectl reads them, all faults at once, bounded, and Secrets never in
sight.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds import loading, yamldoc
from sinal_crds.check import check, judge
from sinal_crds.loading import InvalidManifests, load, load_text, parse
from sinal_crds.models import Tenant

TENANT = "apiVersion: sinal.dev/v1alpha1\nkind: Tenant\nmetadata: {name: loja}\nspec: {}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: meta}\n"


def test_values_mean_what_they_mean_to_kubectl() -> None:
    text = "yes: on\na: y\nb: 2025-01-01\nc: 1e3\nd: 012\ne: 1:30\nf: ~\ng: '5'\nh: 0x10\ni: 2.0\n"
    (document,) = yamldoc.documents(text)
    assert document.data == {
        "true": True,
        "a": True,
        "b": "2025-01-01",
        "c": 1000,
        "d": 10,
        "e": "1:30",
        "f": None,
        "g": "5",
        "h": 16,
        "i": 2,
    }


def test_merge_keys_bring_fields_and_own_fields_win() -> None:
    (document,) = yamldoc.documents(
        "a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc:\n  <<: [*a, *b]\n  p: 3\n"
    )
    assert document.data["c"] == {"p": 3, "q": 1, "r": 2}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: &a [*a]"])
def test_deep_nesting_is_refused_and_harms_nobody(text: str) -> None:
    assert load_text(text).errors


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#? \n\t%@`,<~01", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    loaded = load_text(text)
    assert all(error.message for error in loaded.errors)


@given(st.binary(max_size=80))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "any.yaml"
    file.write_bytes(raw)
    load([file])


def test_every_fault_of_every_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TENANT.replace("{}", "{slug: A, country: x}"))
    (tmp_path / "b.yml").write_text("kind: [")
    (tmp_path / "c.json").write_text(
        '{"apiVersion": "sinal.dev/v1alpha1", "kind": "Tenat", "metadata": {"name": "c"}}'
    )
    errors = load([tmp_path]).errors
    assert [(Path(error.file).name, error.field) for error in errors] == [
        ("a.yaml", "spec.slug"),
        ("a.yaml", "spec.country"),
        ("b.yml", ""),
        ("c.json", "kind"),
    ]


def test_documents_before_a_syntax_error_are_read() -> None:
    loaded = load_text(TENANT + "---\na: [\n")
    assert [tenant.name for tenant in loaded.objects.tenants] == ["loja"]
    assert len(loaded.errors) == 1


def test_folders_are_walked_and_hidden_and_foreign_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "t.yaml").write_text(TENANT)
    (tmp_path / ".git" / "t.yaml").write_text("kind: [")
    (tmp_path / "README.md").write_text("kind: [")
    (tmp_path / "kustomization.yaml").write_text("resources: [deep]")
    report = check([tmp_path])
    assert report.ok
    assert report.counts["Tenant"] == 1
    assert report.summary() == "1 Tenant"
    assert "kustomize" in report.notices[0]


def test_what_can_not_be_read_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("nome: ação".encode("latin-1"))
    errors = load([tmp_path / "latin.yaml", tmp_path / "missing.yaml"]).errors
    assert [str(error).removeprefix(f"{tmp_path}/") for error in errors] == [
        "latin.yaml: is not UTF-8 text; save it as UTF-8",
        "missing.yaml: no such file or folder",
    ]


def test_one_object_in_two_files_names_the_first(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(TENANT)
    loaded = load([tmp_path])
    (error,) = loaded.duplicates
    assert loaded.errors == () and len(loaded.objects.tenants) == 1
    assert str(error) == (
        f"{tmp_path}/b.yaml:1: Tenant default/loja: is defined before, at {tmp_path}/a.yaml:1, "
        "which counts; keep one"
    )


def test_secrets_are_read_and_never_shown() -> None:
    encoded = base64.b64encode(b"from-data\n").decode()
    loaded = load_text(
        f"{SECRET}data: {{a: {encoded}, b: {encoded}}}\nstringData: {{b: from-string}}\n"
    )
    assert loaded.secrets.get("default", "meta") == {"a": "from-data", "b": "from-string"}
    assert loaded.secrets.get("other", "meta") is None
    assert "from-" not in repr(loaded)
    assert encoded not in repr(loaded)


def test_a_secret_that_can_not_be_read_keeps_its_value_to_itself() -> None:
    (error,) = load_text(f"{SECRET}data: {{token: EAAB-not-base64}}\n").errors
    assert "EAAB" not in str(error)
    assert error.field == "data.token"


def test_an_object_of_the_api_server_is_parsed_with_its_status() -> None:
    tenant = parse(
        {
            "apiVersion": "sinal.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {
                "name": "loja",
                "namespace": "x",
                "uid": "u-1",
                "managedFields": [],
                "labels": None,
            },
            "spec": {},
            "status": {"anything": [1]},
        }
    )
    assert isinstance(tenant, Tenant)
    assert (tenant.namespace, tenant.metadata.uid, tenant.slug) == ("x", "u-1", "loja")


@pytest.mark.parametrize("data", [{"kind": "Pod", "apiVersion": "v1"}, {"kind": "Tenant"}, {}])
def test_what_is_no_object_of_ours_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(InvalidManifests) as refused:
        parse(data)
    assert refused.value.errors


def test_load_errors_can_be_raised_together() -> None:
    loaded = load_text(TENANT.replace("{}", "{slug: A, country: x}"), source="t.yaml")
    with pytest.raises(InvalidManifests) as refused:
        loaded.raise_for_errors()
    assert [line.split(": ")[0] for line in str(refused.value).splitlines()] == [
        "t.yaml:4",
        "t.yaml:4",
    ]


def test_a_file_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamldoc, "MAX_BYTES", 1 << 20)
    (error,) = loading.load_text("#" * ((1 << 20) + 1)).errors
    assert "larger than 1 MiB" in error.message


BROKEN = """apiVersion: sinal.dev/v1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: Destination
metadata: {name: Pixel_1}
spec: {tenantRef: loja, meta: {pixelId: "1", accessTokenSecretRef: {name: meta}}}
---
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: outro}
spec: {tenantRef: loja, destinationRefs: [pixel-1]}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: hotmart}
spec: {tenantRef: loja, funnelRef: curso, gateway: hotmart}
"""


def test_objects_that_refer_to_a_broken_one_are_not_blamed_for_it() -> None:
    said = [str(error) for error in judge(load_text(BROKEN, source="loja.yaml")).errors]
    assert (
        said[0] == "loja.yaml:1: Funnel default/curso: apiVersion: must be sinal.dev/v1alpha1 (got "
        "sinal.dev/v1)"
    )
    assert not any("does not exist" in line for line in said), said


def test_yaml_s_own_traps_are_explained() -> None:
    shifted = "kind: Tenant\nmetadata:\n  name: loja\n spec: {}\n"
    assert "compare the indentation" in str(judge(load_text(shifted)).errors[0])
    tabbed = "kind: Tenant\nmetadata:\n\tname: loja\n"
    assert "indented with spaces" in str(judge(load_text(tabbed)).errors[0])
    assert "indented with spaces" not in str(judge(load_text("kind: @x\n")).errors[0])
    text = BROKEN.replace(
        "{tenantRef: loja, destinationRefs: [pixel-1]}",
        "{tenantRef: loja, matching: {unmatched: no}}",
    )
    assert any(
        "YAML reads a bare yes, no, on or off" in str(error)
        for error in judge(load_text(text)).errors
    )
