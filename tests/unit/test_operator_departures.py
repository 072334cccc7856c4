"""Tenants that leave: what NATS is told to give up, and whom a report releases."""

from __future__ import annotations

from typing import Any

import pytest

from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.object_cache import ObjectCache
from sinal_operator.provision import Retired, TenantReport


def tenant(
    name: str, *, uid: str | None = None, leaving: bool = True, **spec: Any
) -> dict[str, Any]:
    gone = {"deletionTimestamp": "2026-11-22T12:00:00Z"} if leaving else {}
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": "1",
            "generation": 1,
            "finalizers": ["sinal.dev/finalizer"],
            **gone,
        },
        "spec": spec,
    }


def later(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": "2"}}


def departures(*tenants: dict[str, Any]) -> Finalization:
    object_cache = ObjectCache()
    for body in tenants:
        object_cache.put(body)
    return Finalization(object_cache)


def removed(slug: str) -> dict[str, TenantReport]:
    return {slug: TenantReport(slug=slug, result="removed")}


async def test_a_tenant_is_released_by_its_own_report_only() -> None:
    found = departures(tenant("a"), tenant("b"))
    found.reported(found.retired(), removed("a"))
    assert await found.outcome("uid-a", 0) is not None
    assert await found.outcome("uid-b", 0) is None
    assert [one.slug for one in found.retired()] == ["b"]


async def test_a_report_on_a_living_tenant_releases_nobody() -> None:
    found = departures(tenant("a"))
    found.reported(found.retired(), {"a": TenantReport(slug="a", result="unchanged")})
    assert await found.outcome("uid-a", 0) is None


def test_what_is_told_to_nats_is_what_the_tenant_declared() -> None:
    found = departures(tenant("a", slug="shop", deletionPolicy="Delete"))
    assert found.retired() == (
        Retired(slug="shop", uid="uid-a", deletion_policy="Delete", namespace="default", name="a"),
    )


def test_a_tenant_that_cannot_be_read_leaves_too_and_its_queue_stays() -> None:
    found = departures(tenant("a", slug="shop", fromTheFuture=True, deletionPolicy="Delete"))
    (one,) = found.retired()
    assert (one.slug, one.deletion_policy) == ("shop", "Retain")


async def test_nobody_is_let_go_before_nats_has_said_whose_plan_it_has() -> None:
    found = departures(tenant("leaver", slug="shop"), tenant("waiter", slug="shop", leaving=False))
    (one,) = found.retired()
    assert one.uid == "uid-leaver"
    assert await found.outcome("uid-leaver", 0) is None
    found.reported(
        (one,),
        {"shop": TenantReport(slug="shop", result="foreign", reasons=("it was left alone",))},
    )
    assert await found.outcome("uid-leaver", 0) == "it was left alone"


async def test_two_that_leave_with_one_slug_go_one_after_the_other() -> None:
    found = departures(tenant("a", slug="shop"), tenant("b", slug="shop"))
    (first,) = found.retired()
    found.reported((first,), removed("shop"))
    (second,) = found.retired()
    assert {first.uid, second.uid} == {"uid-a", "uid-b"}


async def test_an_abandoned_tenant_is_tried_for_as_long_as_we_live() -> None:
    object_cache = ObjectCache()
    object_cache.put(tenant("a", deletionPolicy="Delete"))
    found = Finalization(object_cache)
    found.retired()
    (seen,) = object_cache
    found.abandon(seen)
    object_cache.remove(later(tenant("a")))
    (still,) = found.retired()
    assert (still.uid, still.deletion_policy) == ("uid-a", "Delete")
    found.reported((still,), removed("a"))
    assert found.retired() == ()


@pytest.mark.parametrize("result", ["failed", "blocked"])
async def test_a_refusal_releases_nobody(result: Any) -> None:
    found = departures(tenant("a"))
    found.reported(found.retired(), {"a": TenantReport(slug="a", result=result)})
    assert await found.outcome("uid-a", 0) is None


async def test_who_went_without_us_loses_its_plan_and_no_queue() -> None:
    object_cache = ObjectCache()
    object_cache.put(tenant("a", leaving=False, deletionPolicy="Delete"))
    found = Finalization(object_cache)
    assert found.retired() == ()
    object_cache.remove(later(tenant("a")))
    assert [(one.uid, one.deletion_policy) for one in found.retired()] == [("uid-a", "Retain")]


async def test_who_was_released_and_is_gone_is_not_taken_up_again() -> None:
    object_cache = ObjectCache()
    object_cache.put(tenant("a"))
    found = Finalization(object_cache)
    found.reported(found.retired(), removed("a"))
    object_cache.remove(later(tenant("a")))
    assert found.retired() == ()


async def test_a_namesake_waits_for_its_predecessor_to_be_gone() -> None:
    """Deleted and created again before we looked: what the first one left would be a stranger's to
    the second.
    """
    object_cache = ObjectCache()
    object_cache.put(tenant("a", uid="first"))
    found = Finalization(object_cache)
    found.retired()
    again = tenant("a", uid="second", leaving=False)
    again["metadata"]["resourceVersion"] = "9"
    object_cache.put(again)
    assert [one.uid for one in found.retired()] == ["first"]
    found.reported(found.retired(), removed("a"))
    assert found.retired() == ()
