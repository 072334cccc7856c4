"""The reference of the kinds begins with examples: they are whole and right, and the tables speak
in words.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sinal_cli.app import app
from sinal_cli.manifests_page import CRDS, EXAMPLES, KINDS, fields, manifests_page

PAGE = manifests_page()


def _schema(kind: str) -> dict[str, Any]:
    crd = yaml.safe_load(
        (CRDS / "manifests" / f"sinal.dev_{kind}.yaml").read_text(encoding="utf-8")
    )
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _written(path: str, value: Any) -> set[str]:
    """Paths of the fields that an example has."""
    found = {path} if path else set()
    if isinstance(value, list):
        for item in value:
            found |= _written(f"{path}[]", item) - {f"{path}[]"}
    if isinstance(value, dict):
        for name, part in value.items():
            found |= _written(f"{path}.{name}" if path else name, part)
    return found


def test_the_examples_are_one_shop_that_the_checker_finds_nothing_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["manifests", "check", str(EXAMPLES)])
    told = capsys.readouterr()
    assert ended.value.code == 0, told
    assert "note:" not in told.out + told.err
    assert told.out.strip() == "1 Tenant, 1 Destination, 1 Funnel, 1 GatewayIntegration, 2 Secrets"


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_shows_every_field_of_its_kind(kind: str) -> None:
    (path,) = [path for path in EXAMPLES.glob("*.yaml") if path.stem == kind.removesuffix("s")]
    (shown,) = [
        one
        for one in yaml.safe_load_all(path.read_text())
        if one["apiVersion"].startswith("sinal.dev/")
    ]
    there = {name for name, _, _ in fields("", _schema(kind)["properties"]["spec"])}
    assert _written("", shown["spec"]) == there


def test_the_tables_have_words_and_no_patterns() -> None:
    assert "`^" not in PAGE
    assert "pattern" not in PAGE
    assert "write a lower-case DNS name such as track.loja.example" in PAGE


def test_rules_over_several_fields_are_told() -> None:
    for words in (
        "reviewThreshold must be below matchThreshold",
        "currency goes together with fixed",
        "credentialsSecretRef is required: this gateway proves its deliveries with a secret",
        "spec.slug is immutable",
    ):
        assert words in PAGE


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_of_a_status_is_told(kind: str) -> None:
    for name in _schema(kind)["properties"]["status"]["properties"]:
        assert f"| `{name}` |" in PAGE


def test_a_full_queue_is_told_as_the_edge_answers_it() -> None:
    """503 stood there once; gateways treat the two differently."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `plan.maxBytes` |")]
    assert "answered 429" in row
