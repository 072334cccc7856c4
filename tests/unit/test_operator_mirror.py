"""The mirror of the cluster: no order of events and listings leaves it with an older state than the newest seen."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_operator.cluster.mirror import Change, Mirror


def funnel(version: int, *, name: str = "curso", generation: int = 1, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": "Funnel",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": generation,
            **metadata,
        },
        "spec": {"tenantRef": "loja"},
    }


def versions(mirror: Mirror) -> dict[str, int]:
    return {seen.key[2]: seen.version for seen in mirror}


@given(st.permutations([1, 2, 3, 4, 5]))
def test_the_newest_version_stays_in_any_order(order: list[int]) -> None:
    mirror = Mirror()
    for version in order:
        mirror.put(funnel(version))
    assert versions(mirror) == {"curso": 5}


def test_only_what_plans_are_made_of_is_a_declaration() -> None:
    mirror = Mirror()
    assert mirror.put(funnel(1)) is Change.DECLARED
    assert mirror.put(funnel(2)) is Change.NOTHING
    assert mirror.put({**funnel(3), "status": {"publicKey": "fk_1"}}) is Change.STATUS
    assert mirror.put(funnel(4, annotations={"note": "x"})) is not Change.DECLARED
    assert mirror.put(funnel(5, annotations={"sinal.dev/rotate": "1"})) is Change.DECLARED
    assert mirror.put(funnel(6, generation=2)) is Change.DECLARED
    assert mirror.put(funnel(7, generation=2, deletionTimestamp="2026-11-22T12:00:00Z")) is Change.DECLARED


def test_what_is_on_its_way_out_is_not_declared_any_more() -> None:
    mirror = Mirror()
    mirror.put(funnel(1, deletionTimestamp="2026-11-22T12:00:00Z"))
    assert mirror.objects().funnels == ()


def test_a_listing_takes_away_what_no_watch_told_of() -> None:
    mirror = Mirror()
    for name in ("stays", "vanished"):
        mirror.put(funnel(1, name=name))
    assert mirror.replace("Funnel", [funnel(1, name="stays")], version=9) is Change.DECLARED
    assert versions(mirror) == {"stays": 1}


def test_a_listing_leaves_other_kinds_alone() -> None:
    mirror = Mirror()
    mirror.put(funnel(1))
    mirror.replace("Destination", [], version=9)
    assert versions(mirror) == {"curso": 1}


def test_what_came_while_the_listing_was_made_stays() -> None:
    mirror = Mirror()
    mirror.listing()
    mirror.put(funnel(12, name="new"))
    mirror.replace("Funnel", [], version=9)
    assert versions(mirror) == {"new": 12}


def test_what_went_while_the_listing_was_made_does_not_come_back() -> None:
    mirror = Mirror()
    mirror.put(funnel(3))
    mirror.listing()
    mirror.remove(funnel(12))
    mirror.replace("Funnel", [funnel(3)], version=9)
    assert versions(mirror) == {}


def test_a_late_word_of_a_deletion_does_not_take_the_namesake() -> None:
    mirror = Mirror()
    again = funnel(20)
    again["metadata"]["uid"] = "another"
    mirror.put(again)
    assert mirror.remove(funnel(12)) is Change.NOTHING
    assert versions(mirror) == {"curso": 20}


def test_an_object_of_another_release_is_kept_with_its_fault() -> None:
    mirror = Mirror()
    body = copy.deepcopy(funnel(1))
    body["spec"]["fromTheFuture"] = True
    mirror.put(body)
    (seen,) = mirror
    assert seen.manifest is None
    assert "fromTheFuture" in seen.fault
    assert seen.tenant == ("Tenant", "default", "loja")


@pytest.mark.parametrize(("value", "paused"), [("true", True), ("", True), ("since monday", True), ("false", False)])
def test_any_word_but_false_pauses(value: str, paused: bool) -> None:
    mirror = Mirror()
    mirror.put(funnel(1, annotations={"sinal.dev/paused": value}))
    (seen,) = mirror
    assert seen.paused is paused
