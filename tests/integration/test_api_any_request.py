"""Whatever is asked, the answer is one that the OpenAPI document names: never a fault of ours, always in words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from sinal_runtime.api.app import Parts, build
from sinal_runtime.plans.testing import StaticPlans
from sinal_runtime.store.database import Database

from tests.support.fix_operations import ADMIN_KEY, ApiBus, ApiRig, tenants

WORDS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["loja", "outra", "curso", "dead", "delivered", "review", "match", "dispatch", "rejected", "true", "0"]
    ),
    st.integers().map(str),
    st.datetimes().map(str),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


class Running:
    """The application on a loop of its own, so that Hypothesis can call it."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = self.loop.run_until_complete(Database.open(url, max_size=2))
        self.app: FastAPI = build(Parts(self.database, ApiBus(), StaticPlans(*tenants()), SecretStr(ADMIN_KEY)))

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; a fault of the application is raised here."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            headers = {"Authorization": f"Bearer {ADMIN_KEY}", **options.pop("headers", {})}
            async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
                return await client.request(method, path, **options)

        return self.loop.run_until_complete(asyncio.wait_for(call(), 10))

    def close(self) -> None:
        """End everything."""
        self.loop.run_until_complete(self.database.close())
        self.loop.close()


@pytest.fixture
def running(postgres: str) -> Iterator[Running]:
    """An application that Hypothesis can call."""
    one = Running(postgres)
    yield one
    one.close()


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
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if content is None:
        return st.none()
    names = [part["$ref"].rpartition("/")[2] for part in [content, *content.get("anyOf", [])] if "$ref" in part]
    fields = {field for name in names for field in document["components"]["schemas"][name]["properties"]}
    return st.fixed_dictionaries({}, optional={field: JSON for field in sorted(fields)}) | JSON


def test_no_request_is_answered_with_a_fault(running: Running) -> None:
    document = running.app.openapi()
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
        body = data.draw(body_of(document, operation))
        try:
            options = {} if body is None else {"json": body}
            answer = running.ask(method, path, params=query, **options)
        except ValueError as error:  # JSON has no NaN; httpx refuses to send it
            assert "JSON" in str(error)
            return
        assert answer.status_code < 500 or answer.status_code == 501, (method, path, query, body, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (method, path, answer.text)
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
async def test_routes_that_are_not_there_are_problems_too(api_rig: ApiRig, method: str, path: str, status: int) -> None:
    answer = await api_rig.call(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


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
async def test_a_wrong_filter_is_refused_by_name(api_rig: ApiRig, query: dict[str, str], field: str) -> None:
    answer = await api_rig.call("GET", "/api/v1/events", params=query)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert "ana@example.com" not in answer.text


def test_the_document_names_every_schema_it_refers_to(running: Running) -> None:
    document = running.ask("GET", "/openapi.json")
    assert document.json()["openapi"].startswith("3.1")
    schemas = document.json()["components"]["schemas"]
    found = {part.partition('"')[0] for part in document.text.split("#/components/schemas/")[1:]}
    assert found and found <= set(schemas)
    assert "422" not in document.text
    for _, path, operation in operations(document.json()):
        assert {"4XX", "5XX"} <= set(operation["responses"]), path
        assert operation["security"], path
