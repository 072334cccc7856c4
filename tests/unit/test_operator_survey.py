"""When the whole is listed again: whenever a watch may have missed something, and once for all of
its objects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinal_crds.keyring import Keyring
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.desired_state import APART_S, RESYNC_S, DesiredState
from sinal_operator.cluster.object_cache import ObjectCache


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Listing(ApiServerClient):
    """Answers every listing with the objects of its kind and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: list[dict[str, Any]] = []
        self.listings = 0

    async def pages(
        self, resource: Any, *, namespace: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        self.listings += resource.kind == "Tenant"
        yield [body for body in self.objects if body["kind"] == resource.kind], "100"

    async def get(self, resource: Any, namespace: str, name: str) -> dict[str, Any] | None:
        return None


def thing(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    frame = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "5",
        "generation": 1,
    }
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": kind,
        "metadata": {**frame, **metadata},
        "spec": spec,
    }


def tenant(
    *, finalizers: tuple[str, ...] = ("sinal.dev/finalizer",), **spec: Any
) -> dict[str, Any]:
    return thing("Tenant", "loja", spec, finalizers=list(finalizers))


FUNNEL = thing("Funnel", "curso", {"tenantRef": "loja"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def surveying(clock: Clock, *objects: dict[str, Any]) -> tuple[DesiredState, Listing]:
    client = Listing()
    client.objects = list(objects)
    return DesiredState(client, ObjectCache(), Keyring.generate(), clock=clock), client


async def test_it_lists_at_first_and_then_only_now_and_then(clock: Clock) -> None:
    found, client = surveying(clock, tenant(), FUNNEL)
    assert not found.synced
    assert [plan.slug for plan in (await found.take(())).plans] == ["loja"]
    assert found.synced
    await found.take(())
    assert client.listings == 1
    clock.now += RESYNC_S * 1.2
    await found.take(())
    assert client.listings == 2


@pytest.mark.parametrize("after_s", [0.5, APART_S - 1, APART_S + 1, 100])
async def test_a_watch_that_lists_again_has_the_whole_listed_soon_and_once(
    clock: Clock, after_s: float
) -> None:
    found, client = surveying(clock, tenant(), FUNNEL)
    await found.take(())
    clock.now += after_s
    client.objects = [tenant()]  # the funnel vanished while the watch was down
    assert found.saw(None, tenant())
    assert not found.saw(None, tenant()), "one of many objects of the same listing"
    assert found.due_in_s <= APART_S
    clock.now += found.due_in_s
    declared = await found.take(())
    assert [seen.key[0] for seen in declared.seen] == ["Tenant"]
    assert client.listings == 2


async def test_a_tenant_counts_from_its_finalizer_on(clock: Clock) -> None:
    found, _ = surveying(clock, tenant(finalizers=()))
    assert (await found.take(())).plans == ()
    newer = tenant()
    newer["metadata"]["resourceVersion"] = "6"
    assert found.saw("MODIFIED", newer)
    assert [plan.slug for plan in (await found.take(())).plans] == ["loja"]


async def test_a_tenant_with_a_part_that_cannot_be_read_is_left_alone(clock: Clock) -> None:
    found, _ = surveying(
        clock, tenant(), thing("Funnel", "curso", {"tenantRef": "loja", "fromTheFuture": 1})
    )
    declared = await found.take(())
    assert declared.plans == ()
    assert "fromTheFuture" in declared.held["Tenant", "default", "loja"]


async def test_while_nats_has_told_nothing_who_has_a_stream_keeps_its_slug(clock: Clock) -> None:
    """Both of one second: the first by name would have it otherwise."""
    ready = thing("Tenant", "b", {"slug": "shop"}, finalizers=["sinal.dev/finalizer"]) | {
        "status": {"stream": "T-shop"}
    }
    other = thing("Tenant", "a", {"slug": "shop"}, finalizers=["sinal.dev/finalizer"])
    found, _ = surveying(clock, other, ready)
    assert [plan.name for plan in (await found.take(None)).plans] == ["b"]
