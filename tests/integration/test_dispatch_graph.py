"""The Graph client against the emulator: what it builds is accepted, and each way to fail gets its
meaning.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import aiohttp
import pytest

from sinal_core.outbox.answers import Kind
from sinal_crds.plan import DestinationPlan, FunnelPlan, TenantPlan
from sinal_hub.meta.client import GraphClient
from sinal_hub.meta.payload import ClickData, build
from sinal_hub.meta.validation import check
from sinal_hub.model.events import Event, Item, UserData
from sinal_hub.model.sale import Customer, Product, Sale

from tests.support.eventually import PATIENCE_S
from tests.support.sales import fields_of

EMAIL = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
UA = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"
TENANT = TenantPlan(slug="loja", namespace="n", name="loja", uid="u")
FUNNEL = FunnelPlan(
    name="curso",
    type="course",
    public_key="fk",
    server_key_sha256="",
    landing_hosts=("loja.example",),
)
SALE = Sale(
    gateway="kiwify",
    event="order_approved",
    event_key="kiwify:1:approved",
    status="approved",
    order_id="K1",
    value="97.00",
    currency="BRL",
    method="credit_card",
    occurred_at="2026-11-22T12:00:00Z",
    renewal=True,
    products=[Product(id="p1", name="Curso", value="97.00"), Product(name="no id")],
    customer=Customer(em=[EMAIL]),
)


class Emulator(Protocol):
    """The running Meta emulator."""

    url: str


@pytest.fixture
async def client(sandbox: Emulator) -> AsyncIterator[GraphClient]:
    """A client that waits for a slow machine."""
    made = GraphClient(sandbox.url, timeout_s=PATIENCE_S)
    yield made
    await made.close()


@pytest.fixture
async def impatient(sandbox: Emulator) -> AsyncIterator[GraphClient]:
    """A client with a short time-out."""
    made = GraphClient(sandbox.url, timeout_s=0.6)
    yield made
    await made.close()


def destination(pixel: int, **changes: Any) -> DestinationPlan:
    return DestinationPlan(
        name="d", pixel_id=str(pixel), **({"access_token": "EAAB-token"} | changes)
    )


def fact(kind: str, **fields: Any) -> Event:
    now = int(time.time() * 1000)
    base: dict[str, Any] = {
        "id": "ev_1",
        "key": "k",
        "kind": kind,
        "tenant": "loja",
        "funnel": "curso",
        "received_at": now,
        "occurred_at": now,
        "source": "browser",
        "ip": "177.43.12.5",
        "user_agent": UA,
        "url": "https://loja.example/p",
        "fbclid": "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk",
        "items": [Item(id="p1", quantity=2, price="10.00")],
        "external_id": "visitor-1",
    }
    return Event(**(base | fields))


def sample(event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    return {
        "event_name": "Lead",
        "event_time": int(time.time()),
        "event_id": event_id,
        "action_source": "system_generated",
        "user_data": {"em": [EMAIL]},
    } | changes


CLICK = ClickData(
    click_id="c",
    ip="177.43.12.5",
    user_agent=UA,
    user=UserData(em=[EMAIL]),
    fbp="fb.1.1795345200000.123",
)


@pytest.mark.parametrize(
    ("name", "event", "click", "value"),
    [
        ("PageView", fact("pageview"), None, None),
        ("ViewContent", fact("view_content"), None, "20.00"),
        ("InitiateCheckout", fact("initiate_checkout"), None, "20.00"),
        ("Lead", fact("lead", user=UserData(em=[EMAIL])), None, None),
        ("QuizFinished", fact("lead"), None, None),
        ("Purchase", fact("sale", source="webhook", **fields_of(SALE)), CLICK, "97.00"),
        ("Purchase", fact("sale", source="webhook", **fields_of(SALE)), None, "97.00"),
        (
            "AddPaymentInfo",
            fact("sale", source="webhook", **fields_of(SALE)),
            CLICK,
            "97.00",
        ),
    ],
)
async def test_meta_takes_what_is_built(
    client: GraphClient, name: str, event: Event, click: ClickData | None, value: str | None
) -> None:
    payload = build(
        tenant=TENANT,
        funnel=FUNNEL,
        event=event,
        event_name=name,
        event_id="e1",
        click=click,
        value=value,
        currency="BRL" if value else None,
    )
    answer = await client.send(destination(9_200_000_000), [check(payload, time.time())])
    assert answer.verdict.kind == "delivered", answer.verdict.answer


@pytest.mark.parametrize(
    ("pixel", "fault", "kind"),
    [
        (1, {"kind": "status_500"}, "retry"),
        (2, {"kind": "throttle", "code": 17}, "throttle"),
        (3, {"kind": "auth"}, "credential"),
        (4, {"kind": "permission"}, "credential"),
        (5, {"kind": "hang"}, "in_doubt"),
        (6, {"kind": "reset"}, "in_doubt"),
        (7, {"kind": "accept_then_reset"}, "in_doubt"),
        (8, {"kind": "answer_then_reset"}, "in_doubt"),
        (9, {"kind": "slow_body", "delay_ms": 60_000}, "in_doubt"),
        (10, {"kind": "error", "code": 100, "subcode": 33}, "configuration"),
    ],
)
async def test_each_failure_has_its_meaning(
    client: GraphClient,
    impatient: GraphClient,
    sandbox: Emulator,
    pixel: int,
    fault: dict[str, Any],
    kind: Kind,
) -> None:
    target = destination(9_200_000_100 + pixel)
    script = {"faults": [fault | {"pixel": target.pixel_id, "times": 1}], "append": True}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{sandbox.url}/_sandbox/faults", json=script) as posted,
    ):
        assert posted.status < 300
    first = impatient if fault["kind"] in {"hang", "slow_body"} else client
    assert (await first.send(target, [sample()])).verdict.kind == kind
    assert (await client.send(target, [sample()])).verdict.kind == "delivered"


async def test_throttling_carries_the_time_to_stay_away(
    client: GraphClient, sandbox: Emulator
) -> None:
    target = destination(9_200_000_200)
    fault = {"kind": "throttle", "pixel": target.pixel_id, "times": 1, "retry_after_s": 7}
    script = {"faults": [fault], "append": True}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{sandbox.url}/_sandbox/faults", json=script) as posted,
    ):
        assert posted.status < 300
    verdict = (await client.send(target, [sample()])).verdict
    assert verdict.retry_after_s is not None
    assert verdict.retry_after_s >= 7


async def test_a_refused_batch_is_a_data_error(client: GraphClient) -> None:
    bad = sample("bad", event_time=int(time.time()) - 8 * 86_400)
    verdict = (await client.send(destination(9_200_000_300), [sample("good"), bad])).verdict
    assert (verdict.kind, verdict.code, verdict.subcode) == ("data", 100, 2804003)


async def test_an_expired_version_is_a_matter_of_configuration(client: GraphClient) -> None:
    verdict = (
        await client.send(destination(9_200_000_301, api_version="v18.0"), [sample()])
    ).verdict
    assert verdict.kind == "configuration"


async def test_nothing_listening_means_nothing_was_sent() -> None:
    client = GraphClient("http://127.0.0.1:9", timeout_s=1.0)
    assert (await client.send(destination(1), [sample()])).verdict.kind == "retry"
    await client.close()


async def test_a_name_that_does_not_resolve_means_nothing_was_sent() -> None:
    client = GraphClient("http://graph.invalid", timeout_s=3.0)
    assert (await client.send(destination(1), [sample()])).verdict.kind == "retry"
    await client.close()
