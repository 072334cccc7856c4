"""Whatever is asked, the answer is one that the OpenAPI document names: never a fault of ours,
always in words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinal_api import problems
from sinal_cli import reference
from sinal_core.http import bounded

from tests.support.fix_operations import ApiRig, RunningApi

WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "loja",
            "outra",
            "curso",
            "dead",
            "delivered",
            "review",
            "match",
            "dispatch",
            "rejected",
            "true",
            "0",
        ]
    ),
    st.integers().map(str),
    st.datetimes().map(str),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of everything but the endless stream."""
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        if not path.endswith("/stream")
        for method, operation in item.items()
    ]


def body_of(document: dict[str, Any], operation: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Bodies with the right fields and any values, and bodies of any kind."""
    content = (
        operation.get("requestBody", {})
        .get("content", {})
        .get("application/json", {})
        .get("schema")
    )
    if content is None:
        return st.none()
    names = [
        part["$ref"].rpartition("/")[2]
        for part in [content, *content.get("anyOf", [])]
        if "$ref" in part
    ]
    fields = {
        field for name in names for field in document["components"]["schemas"][name]["properties"]
    }
    return st.fixed_dictionaries({}, optional={field: JSON for field in sorted(fields)}) | JSON


def test_no_request_is_answered_with_a_fault(running_api: RunningApi) -> None:
    document = running_api.app.openapi()
    every = operations(document)
    assert len(every) >= 18

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        method, path, operation = data.draw(st.sampled_from(every))
        query = {}
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            if parameter["in"] == "path":
                value = data.draw(WORDS.filter(lambda word: word not in ("", ".", "..")))
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            elif parameter["in"] == "query" and data.draw(st.booleans()):
                query[name] = data.draw(WORDS)
        content = data.draw(body_of(document, operation))
        try:
            options = {} if content is None else {"json": content}
            answer = running_api.ask(method, path, params=query, **options)
        except ValueError as error:  # JSON has no NaN; httpx refuses to send it
            assert "JSON" in str(error)
            return
        assert answer.status_code < 500 or answer.status_code == 501, (
            method,
            path,
            query,
            content,
            answer.text,
        )
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (
                method,
                path,
                answer.text,
            )
            problem = answer.json()
            assert problem["status"] == answer.status_code and problem["detail"], problem

    attack()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("PUT", "/api/v1/events", 405),
        ("PATCH", "/api/v1/keys", 405),
    ],
)
async def test_routes_that_are_not_there_are_problems_too(
    api_rig: ApiRig, method: str, path: str, status: int
) -> None:
    answer = await api_rig.call(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"tenant": "loja"}, 400), ({"tenant": "nobody", "order_id": "HP1"}, 404)],
)
async def test_an_export_asks_whose_data_before_it_asks_for_keys(
    api_rig: ApiRig, body: dict[str, str], status: int
) -> None:
    """A wrong request is the caller's fault, also where no export could be made."""
    assert (await api_rig.call("POST", "/api/v1/privacy/exports", json=body)).status_code == status


async def test_an_export_without_keys_says_what_is_missing_and_not_to_try_again(
    api_rig: ApiRig,
) -> None:
    answer = await api_rig.call(
        "POST", "/api/v1/privacy/exports", json={"tenant": "loja", "order_id": "HP1"}
    )
    assert answer.status_code == 501
    assert "SINAL_KEYRING_FILE" in answer.json()["detail"]
    assert "retry-after" not in answer.headers
    assert not await api_rig.rows("select * from audit_log where action = 'privacy.export'")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"outcome": "lost"}, "outcome"),
        ({"since": "yesterday"}, "since"),
        ({"email_sha256": "ana@example.com"}, "email_sha256"),
        ({"tenent": "loja"}, "tenent"),
        ({"order_id": "a\x00b"}, "order_id"),
    ],
)
async def test_a_wrong_filter_is_refused_by_name(
    api_rig: ApiRig, query: dict[str, str], field: str
) -> None:
    answer = await api_rig.call("GET", "/api/v1/events", params=query)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert "ana@example.com" not in answer.text


def test_whoever_opens_the_api_s_address_is_led_to_its_page(running_api: RunningApi) -> None:
    answer = running_api.ask("GET", "/")
    assert answer.is_redirect and answer.headers["location"] == "docs"


def test_the_document_names_every_schema_it_refers_to(running_api: RunningApi) -> None:
    document = running_api.ask("GET", "/openapi.json")
    assert document.json()["openapi"].startswith("3.1")
    schemas = document.json()["components"]["schemas"]
    found = {part.partition('"')[0] for part in document.text.split("#/components/schemas/")[1:]}
    assert found and found <= set(schemas)
    assert "422" not in document.text
    assert set(document.json()["paths"]) == set(json.loads(reference.openapi())["paths"]), (
        "the page shows every route"
    )
    for _, path, operation in operations(document.json()):
        assert {"4XX", "5XX"} <= set(operation["responses"]), path
        assert operation["security"], path


async def test_a_body_of_any_length_takes_no_memory_of_a_sender_without_a_key(
    api_rig: ApiRig,
) -> None:
    """It is read before the key is looked at."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"a" * 65_536

    answer = await api_rig.call("POST", "/api/v1/keys", key="sak_wrong", content=endless())
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.headers["connection"] == "close"
    assert sent * 65_536 <= bounded.MAX_BYTES + 65_536


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    app = FastAPI()
    problems.install(app)
    app.add_middleware(bounded.Bounded, refusal=problems.refusal, patience_s=0.05)

    @app.post("/")
    async def read(_: dict[str, str]) -> None:
        """Reads its body."""

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api"
    ) as client:
        answer = await asyncio.wait_for(client.post("/", content=never()), 60)
    assert (answer.status_code, answer.headers["content-type"]) == (408, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/replay/"),
        ("GET", "/api/v1/events/"),
        ("DELETE", "/api/v1/keys/"),
        ("GET", "/api/v1/review/"),
    ],
)
async def test_an_empty_id_does_not_lead_to_all(api_rig: ApiRig, method: str, path: str) -> None:
    """A client that follows redirects would have made a replay of one event one of every dead
    event.
    """
    answer = await api_rig.call(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
