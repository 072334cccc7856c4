"""The definitions in crds/manifests: made from the models, structural, bounded, and judging like
`manifests check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinal_crds import explain, schema, yamldoc
from sinal_crds.models import KINDS
from sinal_crds.models.common import Model

CORPUS = Path(__file__).parents[1] / "corpus" / "manifests"


def crd(kind: str) -> dict[str, Any]:
    """The definition as it lies in the repository."""
    loaded: dict[str, Any] = yaml.safe_load(
        (schema.MANIFESTS / schema.file_name(kind)).read_text(encoding="utf-8")
    )
    return loaded


def version(kind: str) -> dict[str, Any]:
    only: dict[str, Any]
    (only,) = crd(kind)["spec"]["versions"]
    return only


def openapi(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = version(kind)["schema"]["openAPIV3Schema"]
    return found


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node below one, with its path."""
    yield path, node
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")


def spec_nodes(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return list(nodes(openapi(kind)["properties"]["spec"], "spec"))


def rules(kind: str) -> list[dict[str, str]]:
    return [
        rule
        for _, node in nodes(openapi(kind))
        for rule in node.get("x-kubernetes-validations", [])
    ]


kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_the_files_are_what_the_models_say(kind: str) -> None:
    text = (schema.MANIFESTS / schema.file_name(kind)).read_text(encoding="utf-8")
    assert text == schema.render(kind), "run: python -m sinal_crds.schema"


def test_there_is_no_file_too_many() -> None:
    assert {file.name for file in schema.MANIFESTS.iterdir()} == {
        schema.file_name(kind) for kind in KINDS
    }


def test_the_command_writes_every_definition(tmp_path: Path) -> None:
    schema.main(tmp_path / "crds")
    assert len(list((tmp_path / "crds").glob("*.yaml"))) == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "short"),
    [("Tenant", "tn"), ("Destination", "dest"), ("Funnel", "fn"), ("GatewayIntegration", "gwi")],
)
def test_kubectl_knows_each_kind(kind: str, short: str) -> None:
    spec = crd(kind)["spec"]
    assert spec["group"] == "sinal.dev"
    assert spec["scope"] == "Namespaced"
    assert spec["names"]["shortNames"] == [short]
    assert spec["names"]["categories"] == ["sinal"]
    assert crd(kind)["metadata"]["name"] == f"{spec['names']['plural']}.sinal.dev"
    assert version(kind)["subresources"] == {"status": {}}


@kinds
def test_columns_begin_with_the_state_and_end_with_the_age(kind: str) -> None:
    names = [column["name"] for column in version(kind)["additionalPrinterColumns"]]
    assert names[:2] == ["Ready", "Reason"]
    assert names[-1] == "Age"
    assert kind == "Tenant" or names[2] == "Tenant"


@kinds
def test_columns_and_selectors_point_to_fields_that_exist(kind: str) -> None:
    paths = {path for path, _ in nodes(openapi(kind))}
    columns = [column["jsonPath"] for column in version(kind)["additionalPrinterColumns"]]
    selectors = [item["jsonPath"] for item in version(kind)["selectableFields"]]
    for path in (*columns, *selectors):
        plain = re.sub(r"\[\?.*?\]", "[]", path)
        assert plain in paths or plain == ".metadata.creationTimestamp"
    assert len(selectors) <= 8  # the API server's bound


def test_no_column_shows_the_webhook_url() -> None:
    assert not [
        c
        for c in version("GatewayIntegration")["additionalPrinterColumns"]
        if "URL" in c["jsonPath"]
    ]


@kinds
def test_the_schema_is_structural(kind: str) -> None:
    for path, node in nodes(openapi(kind)):
        assert "type" in node, path
        assert (
            not {"$ref", "anyOf", "allOf", "oneOf", "title", "additionalProperties"} & node.keys()
        ), path


@kinds
def test_everything_a_person_writes_is_bounded_and_described(kind: str) -> None:
    for path, node in spec_nodes(kind):
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path
        elif node["type"] == "array":
            assert "maxItems" in node, path
            assert node["x-kubernetes-list-type"] in ("set", "map"), path
        elif node["type"] in ("integer", "number"):
            assert {"minimum", "maximum"} <= node.keys(), path
        if not path.endswith("[]"):
            assert node.get("description"), path


@kinds
def test_lists_merge_by_keys_that_are_required(kind: str) -> None:
    for path, node in nodes(openapi(kind)):
        for key in node.get("x-kubernetes-list-map-keys", []):
            assert key in node["items"]["required"], path


@kinds
def test_optional_objects_default_on_the_way_down(kind: str) -> None:
    """A default inside an object counts only when the object is there, and a real API server
    refuses a definition whose default breaks a rule as it stands, without the defaults of the
    fields inside.
    """
    for path, node in spec_nodes(kind):
        for name, child in node.get("properties", {}).items():
            if child["type"] == "object" and name not in node.get("required", []):
                inner = {
                    field: one["default"]
                    for field, one in child["properties"].items()
                    if "default" in one
                }
                assert child.get("default", {}) == inner, f"{path}.{name}"


def test_ready_is_unknown_from_the_first_moment() -> None:
    for kind in KINDS:
        (condition,) = openapi(kind)["properties"]["status"]["default"]["conditions"]
        assert (condition["type"], condition["status"]) == ("Ready", "Unknown")


def test_what_must_not_change_is_guarded() -> None:
    guarded = {
        kind: [rule["fieldPath"] for rule in rules(kind) if "oldSelf" in rule["rule"]]
        for kind in KINDS
    }
    assert guarded == {
        "Tenant": [".spec.slug"],
        "Destination": [".tenantRef"],
        "Funnel": [".tenantRef"],
        "GatewayIntegration": [".tenantRef", ".gateway"],
    }


def test_every_rule_of_the_models_reaches_the_api_server() -> None:
    published = {rule["rule"] for kind in KINDS for rule in rules(kind)}
    assert {rule.cel for model in _models(Model) for rule in model.rules} == published


def _models(base: type[Model]) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


# Parity: the schema in the repository, read as the API server reads it, refuses what the check
# does. CEL is left out.


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def refusals(node: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Paths at which a structural schema refuses a value (with strict field validation, as kubectl
    asks for).
    """
    if not isinstance(value, TYPES[node["type"]]) or (
        isinstance(value, bool) and node["type"] != "boolean"
    ):
        yield path
    elif isinstance(value, dict):
        yield from _object_refusals(node, value, path)
    elif isinstance(value, list):
        yield from _list_refusals(node, value, path)
    elif _scalar_refused(node, value):
        yield path


def _object_refusals(node: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    properties = node.get("properties", {})
    present = {key: item for key, item in value.items() if not (item is None and key in properties)}
    yield from (f"{path}.{name}" for name in node.get("required", []) if name not in present)
    for name, item in present.items():
        if name in properties:
            yield from refusals(properties[name], item, f"{path}.{name}")
        elif path != ".metadata":  # the API server's own schema knows the rest of it
            yield f"{path}.{name}"


def _list_refusals(node: dict[str, Any], value: list[Any], path: str) -> Iterator[str]:
    keys = node.get("x-kubernetes-list-map-keys")
    marks = [
        tuple(item.get(k) for k in keys) if keys and isinstance(item, dict) else repr(item)
        for item in value
    ]
    if len(value) > node["maxItems"] or len(set(marks)) < len(marks):
        yield path
    for index, item in enumerate(value):
        yield from refusals(node["items"], item, f"{path}[{index}]")


def _scalar_refused(node: dict[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        long = not node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value))
        matched = re.search(node["pattern"], value) if "pattern" in node else True
        return long or not matched or ("enum" in node and value not in node["enum"])
    return bool(not node.get("minimum", value) <= value <= node.get("maximum", value))


def refused(file: Path) -> list[str]:
    """What the definitions refuse in a file, for objects whose kind and version they know."""
    found = []
    for document in yamldoc.documents(file.read_text(encoding="utf-8")):
        data = document.data
        if (
            isinstance(data, dict)
            and data.get("kind") in KINDS
            and data.get("apiVersion") == "sinal.dev/v1alpha1"
        ):
            found += list(
                refusals(openapi(data["kind"]), {k: v for k, v in data.items() if k != "status"})
            )
    return found


def judged_by(*judges: str) -> list[Path]:
    """Bad manifests that these can know to be bad (see the corpus' README)."""
    marks = tuple(f"# judge: {judge}\n" for judge in judges)
    return [
        file
        for file in sorted((CORPUS / "bad").glob("*.yaml"))
        if file.read_text("utf-8").startswith(marks)
    ]


@pytest.mark.parametrize("file", judged_by("schema"), ids=lambda file: str(file.stem))
def test_the_definitions_refuse_what_the_check_refuses(file: Path) -> None:
    assert refused(file)


@pytest.mark.parametrize(
    "file",
    [*judged_by("rule", "references"), *sorted((CORPUS / "good").glob("*.yaml"))],
    ids=lambda file: str(file.stem),
)
def test_the_definitions_take_what_the_check_takes(file: Path) -> None:
    assert not refused(file)


def test_most_of_the_corpus_is_judged_by_the_schema() -> None:
    assert len(judged_by("schema")) >= 35


def test_paths_are_read_as_they_are_written() -> None:
    for text in ("spec.events[0].send", "spec", "metadata.name", "spec.ingest.hosts[12]"):
        assert explain.path_text(explain.path_of(text)) == text
