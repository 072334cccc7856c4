"""Attacks that held: every operation of the API without a key, with too small a key, and upon
another tenant.

The list is the API's own document, so that an operation that is added is attacked as well.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fix_operations import ADMIN_KEY, RunningApi

Operation = tuple[str, str, dict[str, Any]]

# What a viewer may not, beside everything that is not a GET.
FOR_ADMINS = {"/api/v1/keys", "/api/v1/audit", "/api/v1/privacy/erasures/{erasure_id}"}
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/dead-letters/replay": {"stage": "dispatch", "reason": "rejected"},
    "/api/v1/funnels": {"name": "novo"},
    "/api/v1/keys": {"role": "viewer", "name": "k"},
    "/api/v1/privacy/consent": {"email": "a@b.example", "consent_ads": False},
    "/api/v1/privacy/erasures": {"email": "a@b.example"},
    "/api/v1/privacy/exports": {"email": "a@b.example"},
    "/api/v1/quarantine/reparse": {"gateway": "hotmart"},
    "/api/v1/replay": {},
    "/api/v1/suspensions": {"kind": "Funnel", "name": "curso", "suspended": True},
}
BAD_KEYS = [
    "",
    "Bearer null",
    f"Basic {ADMIN_KEY}",
    f"Bearer {ADMIN_KEY}x",
    f"Bearer {ADMIN_KEY}, Bearer {ADMIN_KEY}",
]


PAST_THEIR_OPERATION: list[tuple[str, dict[str, Any]]] = [
    ("funnels", {"name": "../outra", "spec": {}}),
    ("funnels", {"name": "a/b", "spec": {}}),
    ("funnels", {"name": "novo", "spec": {"tenantRef": "outra"}}),
    ("funnels", {"name": "novo", "spec": {}, "namespace": "other"}),
    ("funnels", {"name": "novo\n---\nkind: Tenant", "spec": {}}),
    ("keys", {"role": "root", "name": "k"}),
    ("keys", {"role": ["admin"], "name": "k"}),
    ("keys", {"role": "viewer", "name": "k", "id": "key_1"}),
    ("suspensions", {"kind": "Secret", "name": "x", "suspended": True}),
    ("suspensions", {"kind": "Funnel", "name": "../x", "suspended": True}),
    ("suspensions", {"kind": "Funnel", "name": "curso", "suspended": True, "namespace": "other"}),
    ("replay", {"tenant": ["loja", "outra"]}),
]


def operations(api: RunningApi) -> list[Operation]:
    """Method, path and description of all there are."""
    found = [
        (method.upper(), path, operation)
        for path, item in api.app.openapi()["paths"].items()
        for method, operation in item.items()
        if path.startswith("/api/")
    ]
    assert len(found) >= 33
    return found


def at(path: str, **values: str) -> str:
    """The path with a value for each of its names."""
    for name in ("event_id", "key_id", "erasure_id", "kept_id", "slug"):
        path = path.replace(f"{{{name}}}", values.get(name, "x"))
    return path


def key(api: RunningApi, role: str, tenant: str | None = "loja") -> str:
    made = api.ask(
        "POST", "/api/v1/keys", json={"tenant": tenant, "role": role, "name": "a test's"}
    )
    found: str = made.json()["key"]
    return found


def content(path: str, **more: Any) -> dict[str, Any]:
    """What to send to an operation with a body."""
    return {"json": BODIES[path] | more} if path in BODIES else {}


def test_no_operation_answers_without_a_key(running_api: RunningApi) -> None:
    for method, path, _ in operations(running_api):
        options = content(path) if method != "GET" else {}
        for presented in BAD_KEYS:
            answer = running_api.ask(
                method, at(path), headers={"Authorization": presented}, **options
            )
            assert answer.status_code == 401, (method, path, presented, answer.text)
        smuggled = {
            "Authorization": "",
            "X-Authorization": f"Bearer {ADMIN_KEY}",
            "Cookie": f"key={ADMIN_KEY}",
        }
        query = {
            "key": ADMIN_KEY,
            "access_token": ADMIN_KEY,
            "authorization": f"Bearer {ADMIN_KEY}",
        }
        answer = running_api.ask(method, at(path), headers=smuggled, params=query, **options)
        assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize("tenant", ["loja", None], ids=["of-a-tenant", "of-the-platform"])
def test_a_viewer_changes_nothing(running_api: RunningApi, tenant: str | None) -> None:
    viewer = key(running_api, "viewer", tenant)
    for method, path, _ in operations(running_api):
        if method == "GET" and path not in FOR_ADMINS:
            continue
        options = content(path, tenant="loja") if method != "GET" else {}
        answer = running_api.ask(method, at(path, slug="loja"), key=viewer, **options)
        assert answer.status_code == 403, (method, path, answer.text)


def test_a_tenant_s_admin_does_not_learn_that_another_is_there(running_api: RunningApi) -> None:
    """`outra` is there and `nobody` is not: both are answered alike, and nothing is done to
    either.
    """
    admin = key(running_api, "admin")
    schemas = running_api.app.openapi()["components"]["schemas"]
    asked = 0
    for method, path, operation in operations(running_api):
        asks: list[tuple[str, dict[str, Any]]] = []
        names = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        schema = (
            operation.get("requestBody", {})
            .get("content", {})
            .get("application/json", {})
            .get("schema", {})
        )
        fields = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        for tenant in ("outra", "nobody"):
            if "tenant" in names:
                asks.append((at(path), {"params": {"tenant": tenant}}))
            if "{slug}" in path and method == "GET":
                asks.append((at(path, slug=tenant), {}))
            if "tenant" in fields:
                asks.append((path, content(path, tenant=tenant)))
        answers = [running_api.ask(method, url, key=admin, **options) for url, options in asks]
        assert {answer.status_code for answer in answers} <= {404}, (
            method,
            path,
            [a.text for a in answers],
        )
        assert len({answer.text.replace("outra", "nobody") for answer in answers}) <= 1, (
            method,
            path,
        )
        asked += len(answers)
    assert asked >= 2 * 20
    assert running_api.ask("POST", "/api/v1/tenants/outra/handover", key=admin).status_code == 403
    assert [row["tenant"] for row in running_api.ask("GET", "/api/v1/keys").json()["keys"]] == [
        "loja"
    ]


def test_a_body_does_not_reach_past_its_operation(running_api: RunningApi) -> None:
    admin = key(running_api, "admin")
    for path, body in PAST_THEIR_OPERATION:
        method = "PUT" if path == "suspensions" else "POST"
        answer = running_api.ask(method, f"/api/v1/{path}", key=admin, json=body)
        assert answer.status_code in (400, 404), (path, body, answer.text)


def test_no_page_of_a_stranger_may_read_an_answer(running_api: RunningApi) -> None:
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for method, path in (
        ("GET", "/api/v1/events"),
        ("OPTIONS", "/api/v1/events"),
        ("GET", "/docs"),
        ("GET", "/"),
    ):
        answer = running_api.ask(method, path, headers=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "evil.example" not in answer.text
