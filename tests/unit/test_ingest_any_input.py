"""Whatever arrives at any door: one answer, never a fault of ours, and nothing published that a 2xx
does not name.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinal_core.http import client_ip
from sinal_core.http.problem import FieldError
from sinal_hub.gateways import registry
from sinal_hub.ingest.testing import sha256
from sinal_hub.intake import tracking_schema
from sinal_hub.intake.events_from import NOBODY, tracking_event
from sinal_hub.intake.fields import Fields
from sinal_hub.intake.ports import Caller
from sinal_hub.model.events import decode_event, encode

from tests.support.fix_ingest import (
    LANDING,
    NOW,
    OTHER,
    PUBLIC_KEY,
    SECRET,
    SERVER_KEY,
    TOKEN,
    EdgeWorld,
    a_tenant,
)

ALLOWED = {200, 202, 204, 400, 401, 403, 404, 405, 408, 413, 415, 429, 503}
NAMES = st.sampled_from(
    [
        "host",
        "origin",
        "referer",
        "cookie",
        "content-type",
        "content-encoding",
        "content-length",
        "authorization",
        "x-forwarded-for",
        "user-agent",
        "x-signature",
    ]
)
TEXT = st.text(st.characters(max_codepoint=255), max_size=40)
HEADERS = st.dictionaries(
    NAMES,
    TEXT
    | st.sampled_from(
        [
            LANDING,
            "gzip",
            "text/plain",
            f"Bearer {SERVER_KEY}",
            SECRET,
            "t.loja.example",
            "[::1",
            "https://[",
            "99999999999",
        ]
    ),
)
PATHS = st.sampled_from(
    [
        "/api/v1/track/lead",
        "/api/v1/track/batch",
        "/t/loja/api/v1/track/click",
        f"/api/v1/webhooks/signed/{TOKEN}",
        "/api/v1/webhooks/signed",
        f"/api/v1/webhooks/open/{TOKEN}",
        "/api/v1/track/p.gif",
        "/healthz",
    ]
) | st.text(max_size=60).map("/".__add__)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(sorted(tracking_schema.KNOWN)), JSON, max_size=8)
CALLER = Caller(a_tenant(), a_tenant().funnels[0], is_server=True)
LENIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LENIENT
@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT"]),
    path=PATHS,
    headers=HEADERS,
    raw=st.binary(),
)
async def test_any_request_gets_one_answer(
    method: str, path: str, headers: dict[str, str], raw: bytes
) -> None:
    world = EdgeWorld()
    reply = await world.client().send(method, path, [raw], headers=headers)
    assert reply.status in ALLOWED
    assert (len(world.bus.messages) > 0) <= (reply.status in (200, 202))


@LENIENT
@given(FIELDS, st.booleans())
async def test_any_json_is_accepted_whole_or_refused_by_field(
    fields: dict[str, Any], server: bool
) -> None:
    world = EdgeWorld()
    headers = {"authorization": f"Bearer {SERVER_KEY}"} if server else {"origin": LANDING}
    body = {**fields, "funnel": PUBLIC_KEY}
    reply = await world.client().post("/api/v1/track/lead", body, headers=headers)
    if reply.status == 202:
        [event] = world.bus.events
        assert reply.json()["events"][0]["id"] == event.id
        assert b"\\u0000" not in world.bus.messages[0][2]
    else:
        assert reply.status == 400 and reply.json()["errors"]


@LENIENT
@given(st.lists(FIELDS, max_size=3))
async def test_any_batch_is_accepted_whole_or_not_at_all(events: list[dict[str, Any]]) -> None:
    world = EdgeWorld()
    body = {
        "funnel": PUBLIC_KEY,
        "events": [{"type": "click", **event, "funnel": PUBLIC_KEY} for event in events],
    }
    reply = await world.client().post("/api/v1/track/batch", body, headers={"origin": LANDING})
    assert reply.status in (202, 400)
    assert reply.status == 202 or world.bus.messages == []


@LENIENT
@given(st.binary(max_size=200))
async def test_any_gzip_is_bounded(tail: bytes) -> None:
    raw = zlib.compress(tail, wbits=31) + tail
    headers = {"origin": LANDING, "content-encoding": "gzip"}
    assert (
        await EdgeWorld().client().post("/api/v1/track/batch", raw, headers=headers)
    ).status in (400, 413)


@LENIENT
@given(st.sampled_from(sorted(registry())), HEADERS, st.binary() | JSON.map(msgspec.json.encode))
async def test_any_delivery_to_a_real_gateway_is_believed_or_not(
    name: str, headers: dict[str, str], raw: bytes
) -> None:
    world = EdgeWorld(gateways=dict(registry()))
    [first, *_] = a_tenant().integrations
    plan = msgspec.structs.replace(
        first,
        gateway=name,
        token_sha256=sha256("t"),
        credentials=dict.fromkeys(registry()[name].SECRET_KEYS, "s"),
    )
    world.tenants = (a_tenant(integrations=(plan,)), OTHER)
    reply = await world.client().post(
        f"/api/v1/webhooks/{name}/t", raw, headers={**headers, "host": "x.example"}
    )
    assert reply.status in ALLOWED - {404}


@given(st.text())
def test_an_address_is_an_address_or_none(text: str) -> None:
    found = client_ip.parse(text)
    assert found is None or client_ip.parse(found) == found


@LENIENT
@given(FIELDS)
def test_a_draft_without_errors_fits_the_bus(fields: dict[str, Any]) -> None:
    errors: list[FieldError] = []
    drafted = tracking_schema.read(
        Fields(fields, path="", errors=errors),
        now_ms=int(NOW * 1000),
        country="BR",
        believe_client=True,
    )
    if not errors:
        event = tracking_event(
            drafted, kind="lead", caller=CALLER, visitor=NOBODY, now_ms=int(NOW * 1000)
        )
        assert decode_event(encode(event)) == event
