"""Events are counted together and limited: an object that changes all the time does not fill the
API server.
"""

from __future__ import annotations

from typing import Any

from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.object_cache import Seen, see
from sinal_operator.cluster.resources import Resource
from sinal_operator.cluster.restraint import BURST, REFILL_S, SAME_S


class Server(ApiServerClient):
    """Holds events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[str, dict[str, Any]] = {}

    async def post_event(self, namespace: str, event: dict[str, Any]) -> None:
        self.events[event["metadata"]["name"]] = dict(event)

    async def patch(
        self, resource: Resource, namespace: str, name: str, change: dict[str, Any]
    ) -> dict[str, Any]:
        self.events[name] |= change
        return self.events[name]


def tenant(name: str) -> Seen:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
    return see(
        {"apiVersion": "sinal.dev/v1alpha1", "kind": "Tenant", "metadata": metadata, "spec": {}}
    )


async def test_the_same_event_raises_a_count_and_an_object_has_so_many_in_a_while() -> None:
    now = 0.0
    server = Server()
    recorder = EventRecorder(server, clock=lambda: now)
    for _ in range(60):
        recorder.tell(tenant("a"), "Warning", "SecretNotFound", "the Secret keys is not there")
        recorder.tell(tenant("a"), "Normal", "Ready", "events can flow")
        await recorder.flush()
    counts = {event["reason"]: event["count"] for event in server.events.values()}
    assert len(server.events) == len(counts) == 2
    assert sum(counts.values()) == BURST
    recorder.tell(tenant("b"), "Normal", "Ready", "events can flow")
    await recorder.flush()
    assert len(server.events) == 3, "another object has its own"
    now += REFILL_S
    recorder.tell(tenant("a"), "Normal", "Ready", "events can flow")
    recorder.tell(tenant("a"), "Normal", "Ready", "events can flow")
    await recorder.flush()
    assert sum(event["count"] for event in server.events.values()) == BURST + 2
    now += SAME_S + 1
    recorder.tell(tenant("a"), "Normal", "Ready", "events can flow")
    await recorder.flush()
    assert len(server.events) == 4, "after a while it is an event of its own"
