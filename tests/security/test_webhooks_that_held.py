"""Attacks that held: deliveries of every gateway with a proof that is absent, empty, of another
kind or place.

The real adapters behind the real edge, a body that each of them reads. Whoever is not believed
leaves nothing behind.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sinal_crds.plan import IntegrationPlan
from sinal_hub.gateways import registry
from sinal_hub.ingest.testing import Client, Reply, sha256

from tests.support.fix_ingest import OTHER, EdgeWorld, a_tenant

SAMPLES = Path(__file__).parents[1] / "fixtures" / "gateways"
SECRET, TOKEN = "s3cret-of-the-shop", "tok-of-the-url"
EMPTY = ["", "null", "undefined", "None", "0", "true", "[]", "{}"]
HEADERS = {
    "hotmart": "x-hotmart-hottok",
    "stripe": "stripe-signature",
    "pushinpay": "x-pushinpay-token",
    "lastlink": "x-lastlink-token",
    "shopify": "x-shopify-hmac-sha256",
    "yampi": "x-yampi-hmac-sha256",
    "eduzz": "x-signature",
    "mercadopago": "x-signature",
    "pagbank": "x-authenticity-token",
}
IN_THE_BODY = (
    "hottok",
    "token",
    "secret",
    "chave_unica",
    "basic_authentication",
    "api_key",
    "origin",
    "signature",
)

Proof = tuple[dict[str, str], str, bytes]  # headers, query, body


def sample(gateway: str) -> bytes:
    """A delivery of that gateway as it was captured, which proves nothing by itself."""
    return min((SAMPLES / gateway).glob("*.json"), key=lambda path: path.name).read_bytes()


def world_of(world: EdgeWorld, name: str) -> EdgeWorld:
    """The tenant with one integration, of that gateway."""
    secrets = dict.fromkeys(registry()[name].SECRET_KEYS, SECRET)
    plan = IntegrationPlan(
        name="v", gateway=name, funnel="curso", token_sha256=sha256(TOKEN), credentials=secrets
    )
    world.gateways = dict(registry())
    world.tenants = (a_tenant(integrations=(plan,)), OTHER)
    return world


def keyed(raw: bytes, key: str) -> Iterator[str]:
    """HMACs as gateways write them."""
    for kind in (hashlib.sha1, hashlib.sha256):
        mac = hmac.new(key.encode(), raw, kind).digest()
        yield from (
            mac.hex(),
            base64.b64encode(mac).decode(),
            f"sha256={mac.hex()}",
            f"t=1,v1={mac.hex()}",
        )


def forged(name: str) -> Iterator[Proof]:
    """What somebody sends who knows the URL and not the secret."""
    raw, header = sample(name), HEADERS.get(name, "x-signature")
    yield {}, "", raw
    yield {}, "", b""
    for word in EMPTY:
        yield {header: word}, "", raw
        yield {}, f"?signature={word}&token={word}", raw
        yield {}, "", json.dumps(dict.fromkeys(IN_THE_BODY, word)).encode()
    absent: list[object] = [None, [], {}, 0, False, [""], [SECRET[:-1]]]
    for nothing in absent:
        yield {}, "", json.dumps(dict.fromkeys(IN_THE_BODY, nothing)).encode()
    for key in ("", "null", "s3cret"):
        for proof in keyed(raw, key):
            yield {header: proof}, "", raw
            yield {}, f"?signature={proof}", raw
    for near in (SECRET.upper(), SECRET[:-1], SECRET + "x"):
        yield {header: near, "authorization": f"Bearer {near}"}, f"?token={near}", raw


async def post(client: Client, url: str, proof: Proof) -> Reply:
    headers, query, raw = proof
    return await client.send("POST", url + query, [raw], headers=headers)


UNSIGNED = ["appmax", "cartpanda", "kirvano", "syncpay"]
# PagBank among them: its older notices are only read back
SIGNED = sorted(set(registry()) - set(UNSIGNED))


def test_all_gateways_are_attacked() -> None:
    assert len(SIGNED) == 15
    assert {name for name, gateway in registry().items() if not gateway.AUTHENTICATES} == {
        *UNSIGNED,
        "pagbank",
    }


@pytest.mark.parametrize("name", SIGNED)
async def test_no_proof_but_the_right_one_is_believed(edge_world: EdgeWorld, name: str) -> None:
    world = world_of(edge_world, name)
    client = world.client()
    for proof in forged(name):
        reply = await post(client, f"/api/v1/webhooks/{name}/{TOKEN}", proof)
        assert reply.status == 401, (proof[0], proof[1], proof[2][:80])
    assert (world.bus.messages, world.quarantine.kept) == ([], [])


@pytest.mark.parametrize("name", SIGNED)
async def test_the_secret_in_the_wrong_place_is_no_proof(edge_world: EdgeWorld, name: str) -> None:
    world, raw = world_of(edge_world, name), b"{}"
    wrong = {f"x-{word}": SECRET for word in ("secret", "token", "webhook-secret")} | {
        "authorization": SECRET
    }
    proofs: list[Proof] = [
        (wrong, "", raw),
        ({}, f"?secret={SECRET}&hottok={SECRET}&token={SECRET}", raw),
        ({}, "", json.dumps({"data": dict.fromkeys(IN_THE_BODY, SECRET)}).encode()),
        ({}, "", json.dumps([dict.fromkeys(IN_THE_BODY, SECRET)]).encode()),
    ]
    client = world.client()
    for proof in proofs:
        assert (await post(client, f"/api/v1/webhooks/{name}/{TOKEN}", proof)).status == 401, proof
    assert (world.bus.messages, world.quarantine.kept) == ([], [])


@pytest.mark.parametrize("name", SIGNED + UNSIGNED)
async def test_a_url_that_is_nearly_right_is_not(edge_world: EdgeWorld, name: str) -> None:
    """Of gateways that sign nothing the URL is all the proof there is."""
    world = world_of(edge_world, name)
    proof: Proof = ({}, "", sample(name))
    client, other = world.client(), "kiwify" if name != "kiwify" else "hotmart"
    for url in (
        f"/api/v1/webhooks/{name}/{TOKEN.upper()}",
        f"/api/v1/webhooks/{name}/{TOKEN[:-1]}",
        f"/api/v1/webhooks/{name}/{TOKEN}x",
        f"/api/v1/webhooks/{name}/%00{TOKEN}",
        f"/api/v1/webhooks/{other}/{TOKEN}",
        f"/t/outra/api/v1/webhooks/{name}/{TOKEN}",
        f"/t/LOJA/api/v1/webhooks/{name}/{TOKEN}",
        f"/api/v1/webhooks/{name}",
        f"/api/v1/webhooks/{name}?token={TOKEN}",
    ):
        assert (await post(client, url, proof)).status in (401, 404), url
    for host in ("t.loja.example", "t.outra.example"):
        assert (
            await post(world.client(host=host), f"/api/v1/webhooks/{name}", proof)
        ).status == 401
    assert (world.bus.messages, world.quarantine.kept) == ([], [])


@pytest.mark.parametrize("name", UNSIGNED)
async def test_by_its_url_it_is_believed(edge_world: EdgeWorld, name: str) -> None:
    """So that the test above does not hold because nothing is taken."""
    client = world_of(edge_world, name).client()
    assert (
        await post(client, f"/api/v1/webhooks/{name}/{TOKEN}", ({}, "", sample(name)))
    ).status == 202


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("secret", ["", " ", "\n"])
async def test_an_integration_without_a_secret_believes_nobody(
    edge_world: EdgeWorld, name: str, secret: str
) -> None:
    world = world_of(edge_world, name)
    (plan,) = world.tenants[0].integrations
    empty = msgspec.structs.replace(plan, credentials=dict.fromkeys(plan.credentials, secret))
    world.tenants = (a_tenant(integrations=(empty,)), OTHER)
    raw, header = sample(name), HEADERS.get(name, "x-signature")
    proofs: list[Proof] = [
        ({header: word}, f"?signature={word}", raw) for word in ("", *keyed(raw, secret))
    ]
    proofs.append(({}, "", json.dumps(dict.fromkeys(IN_THE_BODY, secret)).encode()))
    client = world.client()
    for proof in proofs:
        assert (await post(client, f"/api/v1/webhooks/{name}/{TOKEN}", proof)).status in (
            401,
            503,
        ), proof
    assert (world.bus.messages, world.quarantine.kept) == ([], [])
