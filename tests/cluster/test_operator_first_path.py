"""The whole way: manifests applied on a real API server, everything ready, a gateway's sale at
Meta's door.

Nothing but the operator provisions NATS here, and nobody but it tells the gateway's URL.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.support.load import hotmart_sale
from tests.support.platform import Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = ("tenants", "destinations", "funnels", "gatewayintegrations")


READY_S = 5


def ready_s(kubectl: Kubectl) -> float:
    """Seconds from the examples' being applied to everything's being ready."""
    kubectl.apply(EXAMPLES)
    applied = time.monotonic()
    for kind in KINDS:
        kubectl.wait(kind)
    return time.monotonic() - applied


def test_from_apply_to_ready_in_five_seconds(running: OperatorProcess, kubectl: Kubectl) -> None:
    took = ready_s(kubectl)
    for _ in range(2):  # what a busy machine spoilt is tried again
        if took > READY_S:
            kubectl.do("delete", "-f", str(EXAMPLES), "--timeout=120s")
            took = ready_s(kubectl)
    assert took <= READY_S
    tenant = kubectl.get("tenant", "loja")["status"]
    assert (tenant["stream"], tenant["observedGeneration"]) == ("T-loja", 1)
    assert (
        kubectl.get("destination", "pixel-agencia")["status"]["consumer"]
        == "dispatch-pixel-agencia"
    )
    assert kubectl.get("funnel", "curso")["status"]["publicKey"].startswith("fk_")


async def test_a_webhook_to_the_url_in_status_reaches_meta(
    platform: Platform, kubectl: Kubectl
) -> None:
    kubectl.apply(EXAMPLES)
    kubectl.wait("tenant", "loja", timeout_s=120)
    kubectl.wait("gwi", "hotmart", timeout_s=120)
    url = kubectl.get("gwi", "hotmart")["status"]["webhookURL"]
    sale = hotmart_sale()
    headers = {"X-HOTMART-HOTTOK": "demo-hottok", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data=sale, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        async with session.post(
            url, data=sale, headers={**headers, "X-HOTMART-HOTTOK": "wrong"}
        ) as answer:
            assert answer.status == 401
        await platform.settled(session, accepted=1)
        events = f"{platform.sandbox_url}/_sandbox/events"
        async with session.get(events, params={"pixel": "1234567890123456"}) as answer:
            received: dict[str, Any] = await answer.json()
    (purchase,) = [
        item["event"] for item in received["events"] if item["event"]["event_name"] == "Purchase"
    ]
    assert purchase["custom_data"]["currency"] == "BRL"
