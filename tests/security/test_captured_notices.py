"""Attack: one captured header of Mercado Pago, whose signature leaves the body out, with a new body
each time.

Before: a signature of 1970 was taken, and three bodies made three events, each with a read-back
under the shop's token.
"""

from __future__ import annotations

import hashlib
import hmac
import time

import msgspec
import pytest

from sinal_crds.plan import IntegrationPlan
from sinal_hub.gateways import mercadopago
from sinal_hub.ingest.testing import sha256

from tests.support.fix_ingest import EdgeWorld, a_tenant

HOOK = "/api/v1/webhooks/mercadopago/tok-mp"


@pytest.fixture
def world(edge_world: EdgeWorld) -> EdgeWorld:
    integration = IntegrationPlan(
        name="mp",
        gateway="mercadopago",
        funnel="curso",
        token_sha256=sha256("tok-mp"),
        credentials={"webhookSecret": "s"},
    )
    edge_world.tenants = (msgspec.structs.replace(a_tenant(), integrations=(integration,)),)
    edge_world.gateways = {"mercadopago": mercadopago}
    return edge_world


def signed(stamp: str, *, subject: str = "123", request: str = "r") -> dict[str, str]:
    manifest = f"id:{subject};request-id:{request};ts:{stamp};"
    signature = hmac.new(b"s", manifest.encode(), hashlib.sha256).hexdigest()
    return {"x-signature": f"ts={stamp},v1={signature}", "x-request-id": request}


def notice(number: int) -> dict[str, object]:
    return {
        "id": number,
        "action": "payment.updated",
        "type": "payment",
        "data": {"id": "123"},
        "api_version": "v1",
    }


async def test_a_signature_of_long_ago_is_refused(world: EdgeWorld) -> None:
    answer = await world.client().post(f"{HOOK}?data.id=123", notice(1), headers=signed("1"))
    assert answer.status == 401


async def test_other_bodies_under_one_signature_are_one_notice(world: EdgeWorld) -> None:
    client, headers = world.client(), signed(str(int(time.time())))
    answers = [
        await client.post(f"{HOOK}?data.id=123", notice(number), headers=headers)
        for number in range(3)
    ]
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.json()["events"][0]["duplicate"] for answer in answers] == [False, True, True]
    assert len(world.bus.events) == 1


async def test_a_new_notice_of_the_same_payment_is_another(world: EdgeWorld) -> None:
    client, now = world.client(), str(int(time.time()))
    for request in ("first", "second"):
        await client.post(f"{HOOK}?data.id=123", notice(1), headers=signed(now, request=request))
    assert len(world.bus.events) == 2
