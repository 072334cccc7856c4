"""The object cache: no order of events and listings leaves it with an older state than the newest
seen.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_operator.cluster.object_cache import ObjectCache, WatchChange


def funnel(
    version: int, *, name: str = "curso", generation: int = 1, **metadata: Any
) -> dict[str, Any]:
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


def versions(object_cache: ObjectCache) -> dict[str, int]:
    return {seen.key[2]: seen.version for seen in object_cache}


@given(st.permutations([1, 2, 3, 4, 5]))
def test_the_newest_version_stays_in_any_order(order: list[int]) -> None:
    object_cache = ObjectCache()
    for version in order:
        object_cache.put(funnel(version))
    assert versions(object_cache) == {"curso": 5}


def test_only_what_plans_are_made_of_is_a_declaration() -> None:
    object_cache = ObjectCache()
    assert object_cache.put(funnel(1)) is WatchChange.DECLARED
    assert object_cache.put(funnel(2)) is WatchChange.NOTHING
    assert object_cache.put({**funnel(3), "status": {"publicKey": "fk_1"}}) is WatchChange.STATUS
    assert object_cache.put(funnel(4, annotations={"note": "x"})) is not WatchChange.DECLARED
    assert (
        object_cache.put(funnel(5, annotations={"sinal.dev/rotate": "1"})) is WatchChange.DECLARED
    )
    assert object_cache.put(funnel(6, generation=2)) is WatchChange.DECLARED
    assert (
        object_cache.put(funnel(7, generation=2, deletionTimestamp="2026-11-22T12:00:00Z"))
        is WatchChange.DECLARED
    )


def test_what_is_on_its_way_out_is_not_declared_any_more() -> None:
    object_cache = ObjectCache()
    object_cache.put(funnel(1, deletionTimestamp="2026-11-22T12:00:00Z"))
    assert object_cache.objects().funnels == ()


def test_a_listing_takes_away_what_no_watch_told_of() -> None:
    object_cache = ObjectCache()
    for name in ("stays", "vanished"):
        object_cache.put(funnel(1, name=name))
    assert (
        object_cache.replace("Funnel", [funnel(1, name="stays")], version=9) is WatchChange.DECLARED
    )
    assert versions(object_cache) == {"stays": 1}


def test_a_listing_leaves_other_kinds_alone() -> None:
    object_cache = ObjectCache()
    object_cache.put(funnel(1))
    object_cache.replace("Destination", [], version=9)
    assert versions(object_cache) == {"curso": 1}


def test_what_came_while_the_listing_was_made_stays() -> None:
    object_cache = ObjectCache()
    object_cache.listing()
    object_cache.put(funnel(12, name="new"))
    object_cache.replace("Funnel", [], version=9)
    assert versions(object_cache) == {"new": 12}


def test_what_went_while_the_listing_was_made_does_not_come_back() -> None:
    object_cache = ObjectCache()
    object_cache.put(funnel(3))
    object_cache.listing()
    object_cache.remove(funnel(12))
    object_cache.replace("Funnel", [funnel(3)], version=9)
    assert versions(object_cache) == {}


def test_a_late_word_of_a_deletion_does_not_take_the_namesake() -> None:
    object_cache = ObjectCache()
    again = funnel(20)
    again["metadata"]["uid"] = "another"
    object_cache.put(again)
    assert object_cache.remove(funnel(12)) is WatchChange.NOTHING
    assert versions(object_cache) == {"curso": 20}


def test_an_object_of_another_release_is_kept_with_its_fault() -> None:
    object_cache = ObjectCache()
    body = copy.deepcopy(funnel(1))
    body["spec"]["fromTheFuture"] = True
    object_cache.put(body)
    (seen,) = object_cache
    assert seen.manifest is None
    assert "fromTheFuture" in seen.fault
    assert seen.tenant == ("Tenant", "default", "loja")


@pytest.mark.parametrize(
    ("value", "paused"), [("true", True), ("", True), ("since monday", True), ("false", False)]
)
def test_any_word_but_false_pauses(value: str, paused: bool) -> None:
    object_cache = ObjectCache()
    object_cache.put(funnel(1, annotations={"sinal.dev/paused": value}))
    (seen,) = object_cache
    assert seen.paused is paused
