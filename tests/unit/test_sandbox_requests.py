"""Requests to the emulated Graph API: encodings, tokens, versions, pixels, whole-request refusal,
queries.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from sinal_sandbox.app import build
from sinal_sandbox.config import SandboxConfig

from tests.support.fix_sandbox import EventFactory

NOW = 1_795_300_000.0  # 2026-11-22
URL = "/v26.0/1234567890/events"


@asynccontextmanager
async def graph(
    clock: Callable[[], float] = lambda: NOW, **config: Any
) -> AsyncIterator[httpx.AsyncClient]:
    app = build(SandboxConfig(**config), clock=clock).app
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://sandbox", params={}
    ) as client:
        yield client


def error_of(answer: httpx.Response) -> tuple[int, int | None]:
    error = answer.json()["error"]
    assert error["type"] == "OAuthException"
    assert error["fbtrace_id"]
    assert isinstance(error["is_transient"], bool)
    return error["code"], error.get("error_subcode")


async def stored(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/_sandbox/events", params=query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    "encoding", ["json", "json_strings", "data_string", "urlencoded", "multipart"]
)
async def test_every_documented_encoding_is_understood(
    meta_event: EventFactory, encoding: str
) -> None:
    event = meta_event({"event_id": "ação-1"}, at=NOW)
    text = json.dumps([event], ensure_ascii=False)
    fields = {"data": text, "access_token": "t", "test_event_code": "TEST1"}
    requests: dict[str, dict[str, Any]] = {
        "json": {"json": {**fields, "data": [event]}},
        "json_strings": {"json": {**fields, "data": [json.dumps(event)]}},
        "data_string": {"json": fields},
        "urlencoded": {"data": fields},
        "multipart": {"files": {name: (None, value) for name, value in fields.items()}},
    }
    async with graph() as client:
        answer = await client.post(URL, **requests[encoding])
        assert answer.status_code == 200, answer.text
        assert answer.json()["events_received"] == 1
        assert answer.json()["messages"] == []
        [kept] = (await stored(client))["events"]
    assert kept["event"] == event
    assert kept["test_event_code"] == "TEST1"
    assert kept["pixel"] == "1234567890"
    assert kept["received_at"] == "2026-11-21T22:26:40.000Z"


@pytest.mark.parametrize("place", ["query", "bearer", "body", "form"])
async def test_a_token_may_stand_in_four_places(meta_event: EventFactory, place: str) -> None:
    data = [meta_event(at=NOW)]
    requests: dict[str, dict[str, Any]] = {
        "query": {"json": {"data": data}, "params": {"access_token": "good"}},
        "bearer": {"json": {"data": data}, "headers": {"Authorization": "Bearer good"}},
        "body": {"json": {"data": data, "access_token": "good"}},
        "form": {"data": {"data": json.dumps(data), "access_token": "good"}},
    }
    async with graph(tokens=frozenset({"good"})) as client:
        assert (await client.post(URL, **requests[place])).status_code == 200


async def test_tokens_missing_unknown_and_revoked_are_told_apart(meta_event: EventFactory) -> None:
    body = {"data": [meta_event(at=NOW)]}
    async with graph(tokens=frozenset({"good"}), revoked=frozenset({"old"})) as client:
        answers = [
            await client.post(URL, json={**body, "access_token": token})
            for token in ("", "other", "old")
        ]
        assert [error_of(answer) for answer in answers] == [(104, None), (190, None), (190, 460)]
        assert (await stored(client))["total"] == 0
        shown = (await client.get("/_sandbox/requests")).text
    assert "other" not in shown
    assert "old" not in shown


@pytest.mark.parametrize("bad", [0, 499, 999])
async def test_one_bad_event_refuses_all(meta_event: EventFactory, bad: int) -> None:
    events = [meta_event({"event_id": str(n)}, at=NOW) for n in range(1_000)]
    events[bad]["event_time"] = int(NOW) - 8 * 86_400
    async with graph() as client:
        answer = await client.post(URL, json={"data": events, "access_token": "t"})
        assert answer.status_code == 400
        assert error_of(answer) == (100, 2804003)
        error = answer.json()["error"]
        assert f"data[{bad}].event_time" in error["error_user_msg"]
        assert error["error_data"] == {"blame_field_specs": [["data", str(bad), "event_time"]]}
        assert (await stored(client))["total"] == 0
        del events[bad]
        assert (await client.post(URL, json={"data": events, "access_token": "t"})).json()[
            "events_received"
        ] == 999


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"access_token": "t"}',
        b'{"access_token": "t", "data": null}',
        b'{"access_token": "t", "data": []}',
        b'{"access_token": "t", "data": {}}',
        b'{"access_token": "t", "data": "[{]"}',
        b'{"access_token": 7, "data": [{}]}',
        b'{"access_token": "t", "partner_agent": "7", "data": [{}]}',
        b'{"access_token": "t", "data": [' + b"[" * 50_000 + b"]" * 50_000 + b"]}",
        b'{"access_token": "t", "data": ["\xed\xa0\x80"]}',
        b'{"access_token": "t", "data": [1' + b",1" * 1_000 + b"]}",
    ],
)
async def test_a_body_without_1_to_1000_events_is_refused(body: bytes) -> None:
    async with graph() as client:
        answer = await client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert error_of(answer) == (100, None)


async def test_compressed_and_oversized_bodies_are_refused(meta_event: EventFactory) -> None:
    body = {"data": [meta_event(at=NOW)], "access_token": "t"}
    async with graph(max_body_bytes=400) as client:
        assert (await client.post(URL, json=body)).status_code == 413
        answer = await client.post(URL, content=b"x", headers={"Content-Encoding": "gzip"})
    assert error_of(answer) == (100, None)
    assert "gzip" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/v99.0/1/events", (2500, None)),
        ("/v26.1/1/events", (2500, None)),
        ("/nowhere", (2500, None)),
        ("/v26.0/1/2/3", (2500, None)),
        ("/v20.0/1/events", (2635, None)),
        ("/v3.0/1/events", (2635, None)),
        ("/1/events", (2635, None)),
        ("/v26.0/pixel/events", (100, 33)),
        ("/v26.0/debug_token", (100, 33)),  # it is read with GET
    ],
)
async def test_wrong_paths_answer_as_graph(
    meta_event: EventFactory, path: str, error: tuple[int, int | None]
) -> None:
    async with graph() as client:
        bearer = {"Authorization": "Bearer t"}
        answer = await client.post(path, json={"data": [meta_event(at=NOW)]}, headers=bearer)
    assert error_of(answer) == error


async def test_events_can_not_be_read_changed_or_deleted() -> None:
    async with graph() as client:
        answers = [await client.request(method, URL) for method in ("GET", "PUT", "DELETE")]
    assert [error_of(answer) for answer in answers] == [(100, 33)] * 3


async def test_a_version_ends_on_its_day(meta_event: EventFactory) -> None:
    """v21.0 ends on 2027-01-21."""
    end = 1_800_489_600.0
    for now, status in ((end - 1, 200), (end, 400)):
        async with graph(clock=lambda now=now: now) as client:  # type: ignore[misc]
            body = {"data": [meta_event(at=now)], "access_token": "t"}
            assert (await client.post("/v21.0/1/events", json=body)).status_code == status


async def test_an_expired_version_may_be_upgraded_with_a_warning(meta_event: EventFactory) -> None:
    async with graph(expired_version="upgrade") as client:
        answer = await client.post(
            "/v20.0/1/events", json={"data": [meta_event(at=NOW)], "access_token": "t"}
        )
    assert answer.status_code == 200
    assert "v21.0" in answer.headers["X-Ad-Api-Version-Warning"]


async def test_declared_pixels_are_the_only_ones(meta_event: EventFactory) -> None:
    body = {"data": [meta_event(at=NOW)], "access_token": "t"}
    async with graph(pixels=frozenset({"1"})) as client:
        assert (await client.post("/v26.0/1/events", json=body)).status_code == 200
        assert error_of(await client.post("/v26.0/2/events", json=body)) == (100, 33)
        assert error_of(await client.get("/v26.0/2", params={"access_token": "t"})) == (100, 33)
        assert (await client.get("/v26.0/1", params={"access_token": "t"})).json()["id"] == "1"


async def test_an_answer_carries_usage(meta_event: EventFactory) -> None:
    async with graph() as client:
        answer = await client.post(URL, json={"data": [meta_event(at=NOW)], "access_token": "t"})
    assert json.loads(answer.headers["X-App-Usage"]) == {
        "call_count": 0,
        "total_cputime": 0,
        "total_time": 0,
    }
    [usage] = json.loads(answer.headers["X-Business-Use-Case-Usage"])["1234567890"]
    assert usage["estimated_time_to_regain_access"] == 0


async def test_queries_filter_and_keep_the_newest(meta_event: EventFactory) -> None:
    async with graph() as client:
        for n in range(5):
            event = meta_event({"event_id": f"e{n}", "custom_data.order_id": f"o{n}"}, at=NOW)
            await client.post(
                f"/v26.0/{n % 2}/events", json={"data": [event], "access_token": "secret-token"}
            )
        lead = meta_event({"event_name": "Lead", "event_id": "e1"}, at=NOW)
        await client.post("/v26.0/1/events", json={"data": [lead], "access_token": "secret-token"})

        async def ids(**query: Any) -> tuple[list[str], int]:
            found = await stored(client, **query)
            return [event["event"]["event_id"] for event in found["events"]], found["total"]

        assert await ids(pixel="0") == (["e0", "e2", "e4"], 3)
        assert await ids(pixel="0", limit=2) == (["e2", "e4"], 3)
        assert await ids(limit=0) == ([], 6)
        assert await ids(order_id="o3") == (["e3"], 1)
        assert await ids(event_id="e1", event_name="Purchase") == (["e1"], 1)
        assert await ids(event_name="Lead") == (["e1"], 1)
        assert await ids(pixel="0", order_id="o3") == ([], 0)
        assert "secret-token" not in (await client.get("/_sandbox/events")).text
        bad = await client.get("/_sandbox/events", params={"limit": "-1"})
        assert (bad.status_code, bad.json()["field"]) == (400, "limit")


async def test_the_request_log_tells_how_each_request_ended(meta_event: EventFactory) -> None:
    async with graph() as client:
        good, bad = meta_event(at=NOW), meta_event({"event_time": int(NOW) + 3_600}, at=NOW)
        for events in ([good], [good, bad]):
            await client.post(URL, json={"data": events, "access_token": "t"})
        log = (await client.get("/_sandbox/requests", params={"pixel": "1234567890"})).json()
        assert (await client.get("/_sandbox/requests", params={"pixel": "7"})).json()["total"] == 0
    assert log["total"] == 2
    first, second = log["requests"]
    assert (first["status"], first["events"], first["accepted"], first["code"]) == (
        200,
        1,
        True,
        None,
    )
    assert (second["status"], second["events"], second["accepted"]) == (400, 2, False)
    assert (second["code"], second["subcode"]) == (100, 2804004)
    assert first["version"] == "v26.0"
    assert first["ms"] >= 0


async def test_clearing_forgets_events_duplicates_requests_and_faults(
    meta_event: EventFactory,
) -> None:
    body = {"data": [meta_event(at=NOW)], "access_token": "t"}
    async with graph() as client:
        await client.post(URL, json=body)
        await client.post("/_sandbox/faults", json={"faults": [{"kind": "status_500"}]})
        assert (await client.delete("/_sandbox")).status_code == 204
        assert (await client.get("/_sandbox/faults")).json() == {"faults": []}
        assert (await client.get("/_sandbox/requests")).json()["total"] == 0
        assert (await client.post(URL, json=body)).status_code == 200
        assert [event["duplicate"] for event in (await stored(client))["events"]] == [False]


async def test_debug_token_tells_a_live_token_from_a_dead_one() -> None:
    async with graph(revoked=frozenset({"old"})) as client:

        async def of(token: str) -> Any:
            params = {"input_token": token, "access_token": "t"}
            return (await client.get("/v26.0/debug_token", params=params)).json()["data"]

        live, dead = await of("good"), await of("old")
        assert error_of(await client.get("/v26.0/debug_token", params={"input_token": "good"})) == (
            104,
            None,
        )
    assert (live["is_valid"], live["type"], live["expires_at"]) == (True, "SYSTEM_USER", 0)
    assert (dead["is_valid"], dead["error"]["code"], dead["error"]["subcode"]) == (False, 190, 460)


@pytest.mark.parametrize(
    ("fault", "code"),
    [({}, 190), ({"pixel": "1234567890"}, None), ({"event_name": "Lead"}, None), ({"start_in_s": 60}, None),
     ({"times": 0}, None), ({"kind": "throttle"}, None)],
)  # fmt: skip
async def test_an_auth_fault_for_all_kills_the_token_for_debug_token_too(
    fault: Any, code: int | None
) -> None:
    async with graph() as client:
        await client.post("/_sandbox/faults", json={"faults": [{"kind": "auth"} | fault]})
        params = {"input_token": "good", "access_token": "good"}
        for _ in range(2):
            answer = await client.get("/v26.0/debug_token", params=params)
            assert answer.json().get("error", {}).get("code") == code
        assert (await client.get("/_sandbox/faults")).json()["faults"][0]["applied"] == 0


async def test_an_auth_fault_of_a_pixel_kills_the_tokens_that_it_was_sent_with(
    meta_event: EventFactory,
) -> None:
    async with graph() as client:
        for token, pixel in (("sick", "1234567890"), ("well", "9876543210")):
            body = {"data": [meta_event(at=NOW)], "access_token": token}
            await client.post(f"/v25.0/{pixel}/events", json=body)
        await client.post(
            "/_sandbox/faults", json={"faults": [{"kind": "auth", "pixel": "1234567890"}]}
        )

        async def code(token: str) -> Any:
            params = {"input_token": token, "access_token": token}
            return (
                (await client.get("/v25.0/debug_token", params=params))
                .json()
                .get("error", {})
                .get("code")
            )

        assert (await code("sick"), await code("well")) == (190, None)
        await client.post("/_sandbox/faults", json={"faults": []})
        assert await code("sick") is None


async def test_dataset_quality_covers_web_events_of_two_days(meta_event: EventFactory) -> None:
    now = NOW

    async with graph(clock=lambda: now) as client:

        async def quality(fields: str) -> Any:
            params = {"dataset_id": "1234567890", "access_token": "t", "fields": fields}
            return (await client.get("/v25.0/dataset_quality", params=params)).json()

        assert await quality("web{event_name}") == {}
        events = [meta_event(at=NOW), meta_event({"user_data.em": ..., "event_id": ...}, at=NOW)]
        events.append(meta_event({"action_source": "email", "user_data.em": ...}, at=NOW))
        await client.post(URL, json={"data": events, "access_token": "t"})
        fields = "web{event_name,event_match_quality{match_key_feedback{identifier,coverage}},dedupe_key_feedback}"
        [web] = (await quality(fields))["web"]
        now = NOW + 49 * 3_600
        assert await quality("web{event_name}") == {}
    assert web["event_name"] == "Purchase"
    assert "composite_score" not in web["event_match_quality"]
    coverage = {
        f["identifier"]: f["coverage"]["percentage"]
        for f in web["event_match_quality"]["match_key_feedback"]
    }
    assert (coverage["em"], coverage["ph"], coverage["zp"]) == (50.0, 100.0, 0.0)
    feedback = {
        f["dedupe_key"]: f["server_events_with_dedupe_key"]["percentage"]
        for f in web["dedupe_key_feedback"]
    }
    assert feedback["event_id"] == 50.0


@pytest.mark.parametrize("fields", ["web{", "web}", "{a}"])
async def test_broken_fields_are_refused(fields: str, meta_event: EventFactory) -> None:
    async with graph() as client:
        await client.post(URL, json={"data": [meta_event(at=NOW)], "access_token": "t"})
        params = {"dataset_id": "1234567890", "access_token": "t", "fields": fields}
        assert error_of(await client.get("/v25.0/dataset_quality", params=params)) == (100, None)
