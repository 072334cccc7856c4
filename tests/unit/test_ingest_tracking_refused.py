"""What the tracking endpoints refuse, and how they say so.

Nothing of a refused request is published.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from prometheus_client import generate_latest

from sinal_core.nats.errors import BusError, BusRefused, BusUnavailable, LaneFull, LaneMissing
from sinal_crds.plan import Limits
from sinal_hub.ingest.testing import Reply

from tests.support.fix_ingest import (
    LANDING,
    OTHER,
    OTHER_PUBLIC_KEY,
    PUBLIC_KEY,
    SERVER_KEY,
    EdgeWorld,
    a_tenant,
)

BROWSER = {"origin": LANDING}
SERVER = {"authorization": f"Bearer {SERVER_KEY}"}
LEAD = "/api/v1/track/lead"


def assert_problem(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = reply.json()
    assert document["status"] == status and document["title"] and document["detail"]
    return document


def fields_of(reply: Reply) -> list[str]:
    return [error["field"] for error in assert_problem(reply, 400)["errors"]]


def warned(reply: Reply) -> list[str]:
    """Fields that an accepted request lost, each told with a way out."""
    assert reply.status == 202, reply.body
    told = reply.json().get("warnings", [])
    assert all(
        warning.keys() == {"field", "message"} and len(warning["message"]) > 10 for warning in told
    )
    return [warning["field"] for warning in told]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("occurred_at", "2026-09-21T13:39:00Z"),  # 5:40 min ahead
        ("occurred_at", "2026-09-21T13:00:00"),
        ("occurred_at", "yesterday"),
        ("event_id", "x" * 129),
        ("event_id", 7.5),
        ("click_id", "a b"),
        ("click_id", "x" * 37),
        ("session_id", "ç"),
        ("url", "https://curso.example/?q=" + "x" * 4_096),
        ("referrer", {}),
        ("value", "-1"),
        ("value", "1e999999999"),
        ("value", "muito"),
        ("value", "1.2.3"),
        ("value", True),
        ("currency", "ZLOTYS"),
        ("currency", 986),
        ("items", {}),
        ("consent_ads", "perhaps"),
        ("user", "maria"),
        ("utm", []),
        ("client", 1),
        ("order_id", ["1"]),
        ("external_id", "x" * 257),
        ("fbp", "fb.1.2"),
    ],
)
async def test_a_bad_optional_field_costs_the_field_and_not_the_event(
    edge_world: EdgeWorld, field: str, value: object
) -> None:
    body = {"funnel": PUBLIC_KEY, "user": {"email": "maria@loja.example"}, field: value}
    reply = await edge_world.client().post(LEAD, body, headers=BROWSER)
    assert warned(reply) == [field]
    [event] = edge_world.bus.events
    assert event.url == "https://curso.example/" if field == "url" else True
    assert event.consent_ads is (False if field == "consent_ads" else None), (
        "a no that cannot be read is a no"
    )
    assert bool(event.user.em) is (field != "user")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"items": [{"id": "a"}, {"id": "b", "quantity": 0}]}, ["items[1].quantity"]),
        ({"items": [{"price": "1"}, {"id": "b"}]}, ["items[0].id"]),
        ({"items": ["a", {"id": "b"}]}, ["items[0]"]),
        (
            {"items": [{"id": "undefined"}, {"id": "b", "price": "x"}]},
            ["items[0].id", "items[1].price"],
        ),
        ({"items": [{"id": "b"}] * 101}, ["items"]),
        ({"user": {"email": 1}}, ["user.email"]),
        ({"client": {"ip": "300.1.1.1"}}, ["client.ip"]),
        ({"utm": {"source": []}}, ["utm.source"]),
    ],
)
async def test_a_bad_nested_field_is_named_with_its_path(
    edge_world: EdgeWorld, body: dict[str, object], fields: list[str]
) -> None:
    reply = await edge_world.client().post(LEAD, {"funnel": "curso", **body}, headers=SERVER)
    assert warned(reply) == fields
    if "items" in body:
        assert {item.id for item in edge_world.bus.events[0].items} <= {"a", "b"}


async def test_every_bad_field_is_told_at_once_and_counted(edge_world: EdgeWorld) -> None:
    def counted() -> float:
        name = 'sinal_ingest_field_warnings_total{tenant="loja"} '
        lines = generate_latest().decode().splitlines()
        return next(
            (float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0
        )

    before = counted()
    events = [
        {"type": "lead"},
        {"type": "lead", "value": "x", "event_id": True, "user": {"phone": []}},
    ]
    body = {"funnel": PUBLIC_KEY, "events": events}
    reply = await edge_world.client().post("/api/v1/track/batch", body, headers=BROWSER)
    assert sorted(warned(reply)) == [
        "events[1].event_id",
        "events[1].user.phone",
        "events[1].value",
    ]
    assert len(edge_world.bus.events) == 2
    assert counted() - before == 3


@pytest.mark.parametrize("value", ["yesterday", "2026-09-21T13:00:00", 7])
async def test_a_server_that_tells_no_readable_time_is_refused(
    edge_world: EdgeWorld, value: object
) -> None:
    reply = await edge_world.client().post(
        LEAD, {"funnel": "curso", "occurred_at": value}, headers=SERVER
    )
    assert fields_of(reply) == ["occurred_at"]
    assert reply.json()["detail"].startswith("occurred_at: ")
    assert edge_world.bus.messages == []


async def test_a_nul_in_a_text_is_refused(edge_world: EdgeWorld) -> None:
    reply = await edge_world.client().post(
        LEAD, {"funnel": PUBLIC_KEY, "event_id": "a\0b"}, headers=BROWSER
    )
    assert fields_of(reply) == ["event_id"]


async def test_an_event_that_meta_would_not_take_any_more_is_refused(edge_world: EdgeWorld) -> None:
    # seven days and 33 minutes ago
    body = {"funnel": PUBLIC_KEY, "occurred_at": "2026-09-14T13:00:00Z"}
    assert fields_of(await edge_world.client().post(LEAD, body, headers=BROWSER)) == ["occurred_at"]
    assert edge_world.bus.messages == []


async def test_one_bad_event_refuses_its_batch_and_is_named(edge_world: EdgeWorld) -> None:
    events: list[dict[str, object]] = [{"type": "click"} for _ in range(5)]
    events[3]["occurred_at"] = "2021-01-01T00:00:00Z"
    reply = await edge_world.client().post(
        "/api/v1/track/batch", {"funnel": PUBLIC_KEY, "events": events}, headers=BROWSER
    )
    assert fields_of(reply) == ["events[3].occurred_at"]
    assert edge_world.bus.messages == []


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        ({}, "events"),
        ({"events": []}, "events"),
        ({"events": {"type": "click"}}, "events"),
        ({"events": [{"type": "click"}] * 501}, "events"),
        ({"events": [{"type": "sale"}]}, "events[0].type"),
        ({"events": [{}]}, "events[0].type"),
        ({"events": [{"type": ["click"]}]}, "events[0].type"),
        ({"events": ["click"]}, "events[0]"),
    ],
)
async def test_batch_that_is_none_is_refused(
    edge_world: EdgeWorld, batch: dict[str, object], field: str
) -> None:
    body = {"funnel": PUBLIC_KEY, **batch}
    assert fields_of(
        await edge_world.client().post("/api/v1/track/batch", body, headers=BROWSER)
    ) == [field]


async def test_batch_of_two_tenants_is_refused(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (a_tenant(), _same_landing_hosts())
    events = [{"type": "click", "funnel": key} for key in (PUBLIC_KEY, OTHER_PUBLIC_KEY)]
    reply = await edge_world.client().post(
        "/api/v1/track/batch", {"events": events}, headers=BROWSER
    )
    assert fields_of(reply) == ["events[1].funnel"]


def _same_landing_hosts() -> Any:
    import msgspec

    funnel = msgspec.structs.replace(OTHER.funnels[0], landing_hosts=("curso.example",))
    return msgspec.structs.replace(OTHER, funnels=(funnel,))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"a":', b"\xff", b"[" * 100_000, b'{"a":"\\ud800"}', b"1e5"]
)
async def test_body_that_is_no_json_object_is_refused(edge_world: EdgeWorld, raw: bytes) -> None:
    assert fields_of(await edge_world.client().post(LEAD, raw, headers=BROWSER)) == ["(body)"]


async def test_missing_funnel_is_named(edge_world: EdgeWorld) -> None:
    assert fields_of(await edge_world.client().post(LEAD, {}, headers=BROWSER)) == ["funnel"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://curso.example.evil.example"},
        {"origin": "https://promo.example"},  # the wildcard stands for names below it
        {"origin": "https://xcurso.example"},
        {"origin": "https://curso.example@evil.example"},
        {"origin": "chrome-extension://curso.example"},
        {"origin": "https://evil.example\\@curso.example"},
        {"origin": "https://curso.example\r\nx: y"},
        {"origin": "https://curso.example/path"},
        {"origin": "https://evil.example", "referer": LANDING},
        {"referer": "https://evil.example/?u=https://curso.example"},
        {},
    ],
)
async def test_public_key_works_on_landing_hosts_only(
    edge_world: EdgeWorld, headers: dict[str, str]
) -> None:
    assert_problem(
        await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers=headers), 403
    )
    assert edge_world.bus.messages == []


@pytest.mark.parametrize(
    "key", ["Bearer sk_wrong", "Bearer fk_curso", "Basic abc", "Bearer", "", "Bearer " + "sk_" * 99]
)
async def test_wrong_server_key_is_401_whatever_the_origin(edge_world: EdgeWorld, key: str) -> None:
    headers = {**BROWSER, "authorization": key}
    assert_problem(
        await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers=headers), 401
    )


async def test_server_key_opens_its_own_funnel_only(edge_world: EdgeWorld) -> None:
    reply = await edge_world.client().post(LEAD, {"funnel": OTHER_PUBLIC_KEY}, headers=SERVER)
    assert fields_of(reply) == ["funnel"]


@pytest.mark.parametrize(
    ("host", "path", "funnel"),
    [
        ("ingest.example", "/t/nobody", PUBLIC_KEY),
        ("ingest.example", "", "fk_nobody"),
        ("ingest.example", "/t/outra", PUBLIC_KEY),
        ("t.outra.example", "", PUBLIC_KEY),
        ("t.outra.example", "/t/loja", PUBLIC_KEY),
        ("ingest.example", "/t/loja", "fk_nobody"),
    ],
)
async def test_unknown_tenant_and_foreign_funnel_read_the_same(
    edge_world: EdgeWorld, host: str, path: str, funnel: str
) -> None:
    client = edge_world.client(host=host)
    reply = await client.post(f"{path}{LEAD}", {"funnel": funnel}, headers=BROWSER)
    baseline = await edge_world.client().post(LEAD, {"funnel": "fk_x"}, headers=BROWSER)
    assert_problem(reply, 404)
    assert reply.body == baseline.body


async def test_answer_never_repeats_what_was_sent(edge_world: EdgeWorld) -> None:
    body = {
        "funnel": PUBLIC_KEY,
        "event_id": 5,
        "user": {"email": ["maria@loja.example"]},
        "value": "segredo",
    }
    reply = await edge_world.client().post(LEAD, body, headers=BROWSER)
    assert b"maria" not in reply.body and b"segredo" not in reply.body


async def test_declared_size_is_refused_without_reading(edge_world: EdgeWorld) -> None:
    async def never() -> Any:
        raise AssertionError("read")
        yield b""

    reply = await edge_world.client().send(
        "POST", LEAD, never(), headers={**BROWSER, "content-length": str(256 * 1024 + 1)}
    )
    assert_problem(reply, 413)
    assert reply.headers["connection"] == "close"


async def test_stream_is_cut_at_the_limit(edge_world: EdgeWorld) -> None:
    given = 0

    async def endless() -> Any:
        nonlocal given
        while True:
            given += 64 * 1024
            yield b" " * 64 * 1024

    assert_problem(await edge_world.client().send("POST", LEAD, endless(), headers=BROWSER), 413)
    assert given <= 256 * 1024 + 64 * 1024


async def test_body_of_exactly_the_limit_is_read(edge_world: EdgeWorld) -> None:
    raw = json.dumps({"funnel": PUBLIC_KEY}).encode().ljust(256 * 1024)
    assert (await edge_world.client().post(LEAD, raw, headers=BROWSER)).status == 202


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (gzip.compress(b" " * 50_000_000), 413),
        (gzip.compress(b"{}", mtime=0)[:-3], 400),
        (b"not gzip", 400),
        (gzip.compress(b"{}", mtime=0) + b"more", 400),
    ],
)
async def test_gzip_is_inflated_within_bounds(
    edge_world: EdgeWorld, raw: bytes, status: int
) -> None:
    headers = {**SERVER, "content-encoding": "gzip"}
    assert_problem(
        await edge_world.client().post("/api/v1/track/batch", raw, headers=headers), status
    )


@pytest.mark.parametrize(
    "header",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "image/png"},
        {"content-encoding": "br"},
    ],
)
async def test_other_media_types_are_415(edge_world: EdgeWorld, header: dict[str, str]) -> None:
    assert_problem(
        await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers={**BROWSER, **header}),
        415,
    )


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/octet-stream", "nonsense"]
)
async def test_a_server_key_may_name_any_type_as_long_as_the_body_is_json(
    edge_world: EdgeWorld, kind: str
) -> None:
    client, headers = edge_world.client(), {**SERVER, "content-type": kind}
    assert (await client.post(LEAD, {"funnel": PUBLIC_KEY}, headers=headers)).status == 202
    batch = {"funnel": PUBLIC_KEY, "events": [{"type": "lead"}]}
    assert (await client.post("/api/v1/track/batch", batch, headers=headers)).status == 202
    assert_problem(await client.post(LEAD, b"funnel=pk_1&url=x", headers=headers), 400)


async def test_a_wrong_server_key_opens_no_door_to_other_types(edge_world: EdgeWorld) -> None:
    headers = {
        "authorization": "Bearer sk_wrong",
        "content-type": "application/x-www-form-urlencoded",
    }
    assert_problem(
        await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers=headers), 401
    )
    assert_problem(
        await edge_world.client().post(
            LEAD, {"funnel": PUBLIC_KEY}, headers={**BROWSER, **headers}
        ),
        401,
    )


async def test_rate_limit_is_per_tenant_and_says_when_to_return(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=3)), OTHER)
    client = edge_world.client()
    statuses = [
        (await client.post(LEAD, {"funnel": PUBLIC_KEY}, headers=BROWSER)).status for _ in range(3)
    ]
    refused = await client.post(LEAD, {"funnel": PUBLIC_KEY}, headers=BROWSER)
    other = await client.post(
        LEAD, {"funnel": OTHER_PUBLIC_KEY}, headers={"origin": "https://outra.example"}
    )
    assert statuses == [202] * 3
    assert_problem(refused, 429)
    assert refused.headers["retry-after"] == "20"
    assert other.status == 202
    edge_world.clock.now += 20
    assert (await client.post(LEAD, {"funnel": PUBLIC_KEY}, headers=BROWSER)).status == 202


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BusUnavailable("away"), 503),
        (LaneMissing("no stream"), 503),
        (LaneFull("full"), 429),
        (BusRefused(500, 10_000, "no"), 503),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
async def test_nothing_is_accepted_that_the_broker_did_not_take(
    edge_world: EdgeWorld, error: BusError, status: int, count: int
) -> None:
    edge_world.bus.error = error
    body = {"funnel": PUBLIC_KEY, "events": [{"type": "lead"}] * count}
    reply = await edge_world.client().post("/api/v1/track/batch", body, headers=BROWSER)
    assert_problem(reply, status)
    assert int(reply.headers["retry-after"]) >= 1


async def test_missing_lane_asks_for_provisioning(edge_world: EdgeWorld) -> None:
    edge_world.bus.error = LaneMissing("no stream")
    await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers=BROWSER)
    assert edge_world.bus.provisions == ["loja"]
