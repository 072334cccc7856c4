"""A tenant with its members, what is wrong with them, and nothing that an old generation said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sinal_cli.client.show import Output
from sinal_cli.client.target import NoTarget
from sinal_cli.kubectl.cluster import Kubectl, NamespacedName
from sinal_cli.kubectl.status import arranged, status


def condition(
    type: str = "Ready", status: str = "True", reason: str = "Ready", **more: Any
) -> dict[str, Any]:
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "message": "",
        "observedGeneration": 2,
        **more,
    }


def found(
    kind: str, name: str, *conditions: dict[str, Any], namespace: str = "shop", **status: Any
) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 2},
        "spec": {} if kind == "Tenant" else {"tenantRef": "loja"},
        "status": {"conditions": list(conditions or [condition()]), **status},
    }


def test_members_follow_their_tenant_and_strangers_come_last() -> None:
    rows = arranged(
        [
            found("GatewayIntegration", "hotmart"),
            found("Destination", "pixel", namespace="other"),
            found("Funnel", "curso"),
            found("Tenant", "zeta"),
            found("Destination", "pixel"),
            found("Tenant", "loja"),
        ]
    )
    assert [(row["namespace"], row["kind"], row["name"]) for row in rows] == [
        ("shop", "Tenant", "loja"),
        ("shop", "Destination", "pixel"),
        ("shop", "Funnel", "curso"),
        ("shop", "GatewayIntegration", "hotmart"),
        ("shop", "Tenant", "zeta"),
        ("other", "Destination", "pixel"),
    ]


def test_a_row_says_what_the_object_says() -> None:
    tenant = found(
        "Tenant", "loja", backlog=12, matchPercent=81.25, lastEvent="2026-03-01T12:00:00Z"
    )
    (row,) = arranged([tenant])
    assert row == {
        "kind": "Tenant",
        "namespace": "shop",
        "name": "loja",
        "tenant": "loja",
        "ready": "True",
        "reason": "Ready",
        "message": "",
        "backlog": 12,
        "match_percent": 81.25,
        "last_event": "2026-03-01T12:00:00Z",
        "breaker": None,
    }


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([condition(status="False", reason="SecretNotFound")], ("False", "SecretNotFound")),
        ([condition(observedGeneration=1)], ("Unknown", "Outdated")),
        ([condition("Provisioned")], ("Unknown", "Pending")),
        (
            [condition(), condition("Delivering", "False", "TokenInvalid")],
            ("True", "Delivering: TokenInvalid"),
        ),
        ([condition(), condition("Paused", "True", "Asked")], ("True", "Ready, paused")),
        ([condition(), condition("Paused", "False", "Running")], ("True", "Ready")),
    ],
)
def test_ready_is_of_this_generation_and_says_what_else_is_wrong(
    conditions: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    (row,) = arranged([found("Destination", "pixel", *conditions)])
    assert (row["ready"], row["reason"]) == expected


class Cluster(Kubectl):
    """What kubectl would have found."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self._objects = list(objects)

    def objects(self, plurals: object) -> list[dict[str, Any]]:
        return self._objects


def test_the_exit_code_is_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    assert status(Cluster(found("Tenant", "loja")), out, everywhere=False) == 0
    broken = found("Destination", "pixel", condition(status="False", reason="SecretNotFound"))
    assert status(Cluster(found("Tenant", "loja"), broken), out, everywhere=False) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["loja", "loja", "pixel"]


def test_a_table_has_a_namespace_only_where_several_are_looked_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Output(as_json=False)
    out.lines = False
    for everywhere in (False, True):
        status(
            Cluster(found("Tenant", "loja"), found("Destination", "pixel", breaker="Open")),
            out,
            everywhere=everywhere,
        )
        table = capsys.readouterr().out
        assert "dest/pixel" in table and "Open" in table
        assert ("namespace" in table) == everywhere


@pytest.mark.parametrize("text", ["api", "a/b/c", "/api", "sinal/"])
def test_a_place_is_a_namespace_and_a_name(text: str) -> None:
    with pytest.raises(NoTarget, match="--service"):
        NamespacedName.of(text, option="--service")
