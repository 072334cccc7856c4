"""Writing statuses: to the version that was judged and to no other, and again when that was
overtaken.
"""

from __future__ import annotations

from typing import Any

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused
from sinal_operator.cluster.conditions import READY, ConditionVerdict
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.object_cache import ObjectCache
from sinal_operator.cluster.status import Judgement
from sinal_operator.cluster.status_writer import StatusWriter


class Recording(ApiServerClient):
    """Takes statuses and events, or refuses them."""

    def __init__(self, refusal: int = 0) -> None:
        super().__init__()
        self.refusal = refusal
        self.patches: list[tuple[str, int]] = []
        self.events: list[str] = []

    async def patch_status(
        self, resource: Any, namespace: str, name: str, status: Any, *, version: int
    ) -> dict[str, Any]:
        if self.refusal:
            raise ApiServerRefused(self.refusal, "path", "no")
        self.patches.append((name, version))
        return funnel(version + 1, status)

    async def post_event(self, namespace: str, event: dict[str, Any]) -> None:
        self.events.append(event["reason"])


def funnel(version: int, status: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {
        "name": "curso",
        "namespace": "default",
        "uid": "u",
        "resourceVersion": str(version),
        "generation": 1,
    }
    spec = {"tenantRef": "loja"}
    kind = {"apiVersion": "sinal.dev/v1alpha1", "kind": "Funnel"}
    return {**kind, "metadata": metadata, "spec": spec, "status": status or {}}


LOST = Judgement((ConditionVerdict(READY, "False", "TenantNotFound", "create it"),))


async def write(client: Recording, object_cache: ObjectCache) -> bool:
    (seen,) = object_cache
    recorder = EventRecorder(client)
    written = await StatusWriter(client, object_cache, recorder).write([(seen, LOST)])
    await recorder.flush()
    return written


async def test_a_status_goes_to_the_version_that_was_judged_and_once() -> None:
    client, object_cache = Recording(), ObjectCache()
    object_cache.put(funnel(7))
    assert await write(client, object_cache)
    assert await write(client, object_cache)
    assert client.patches == [("curso", 7)]
    assert client.events == ["TenantNotFound"]


async def test_an_object_that_changed_meanwhile_is_judged_again() -> None:
    client, object_cache = Recording(refusal=409), ObjectCache()
    object_cache.put(funnel(7))
    assert not await write(client, object_cache)
    assert client.events == []


async def test_an_object_that_is_gone_needs_nothing() -> None:
    client, object_cache = Recording(refusal=404), ObjectCache()
    object_cache.put(funnel(7))
    assert await write(client, object_cache)
