"""A key reaches its role and its tenant and nothing else, whatever is asked with it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.fix_operations import ADMIN_KEY, ApiRig

LETTERS = """
insert into dead_letters (tenant_id, stage, event_row, capi_event_id, capi_created_at, destination, reason, body)
select tenant_id, 'dispatch', source_event, id, created_at, destination, reason, payload_json from capi_events
"""
COPIED = {
    "events": "id, received_at, occurred_at, funnel, kind, source, event_id, status, gateway, "
    "order_id, outcome, body",
    "capi_events": "source_event, funnel, destination, event_name, event_id, event_time, "
    "payload_json, received_at, "
    "status, reason",
    "dead_letters": "stage, event_row, capi_event_id, capi_created_at, destination, reason, body",
}
READS = ("events", "events/{id}", "ledger", "dead-letters", "review")


async def neighbours(rig: ApiRig) -> dict[str, str]:
    """One dead sale in each of two tenants; ids by tenant."""
    sale = rig.room.sale()
    await rig.room.deliver(sale)
    await rig.run("update capi_events set status = 'dead', reason = 'rejected'")
    await rig.run(LETTERS)
    for table, columns in COPIED.items():
        values = columns.replace("source_event", "'ev_outra'").replace("event_row", "'ev_outra'")
        values = "'ev_outra'" + values[2:] if values.startswith("id,") else values
        await rig.run(
            f"insert into {table} (tenant_id, {columns}) select 'outra', {values} from {table}"
        )
    return {"loja": sale.id, "outra": "ev_outra"}


async def test_a_key_is_shown_once_and_kept_as_its_hash(api_rig: ApiRig) -> None:
    made = await api_rig.call(
        "POST", "/api/v1/keys", json={"tenant": "loja", "role": "viewer", "name": "console"}
    )
    key = made.json()["key"]
    assert made.status_code == 201 and len(key) >= 43
    stored = await api_rig.rows("select * from api_keys")
    assert stored[0]["key_sha256"] == hashlib.sha256(key.encode()).hexdigest()
    listed = await api_rig.call("GET", "/api/v1/keys")
    audit = await api_rig.call("GET", "/api/v1/audit")
    everything = [str(stored), listed.text, audit.text]
    assert all(key not in text and key.removeprefix("sak_") not in text for text in everything)
    assert stored[0]["key_sha256"] not in listed.text + audit.text
    assert (await api_rig.call("GET", "/api/v1/events", key=key)).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
async def test_a_body_that_does_not_say_it_is_json_is_told_which_header_to_send(
    api_rig: ApiRig, headers: dict[str, str]
) -> None:
    body = b'{"tenant": "loja", "role": "viewer", "name": "console"}'
    async with api_rig.client() as client:
        refused = await client.post("/api/v1/keys", content=body, headers=headers)
        taken = await client.post(
            "/api/v1/keys", content=body, headers={"Content-Type": "application/json"}
        )
    assert refused.status_code == 415
    assert "Content-Type: application/json" in refused.json()["detail"]
    assert taken.status_code == 201


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer wrong", f"Token {ADMIN_KEY}", "Bearer \u00ff"],
)
async def test_without_a_good_key_nothing_is_shown(api_rig: ApiRig, header: str) -> None:
    for path in (*READS, "keys", "audit"):
        headers = {b"Authorization": header.encode("latin-1")}
        async with api_rig.client() as client:
            client.headers.pop("authorization")
            answer = await client.get(f"/api/v1/{path}".replace("{id}", "ev_1"), headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoked_or_expired_key_is_none(api_rig: ApiRig) -> None:
    key = await api_rig.key()
    (row,) = (await api_rig.call("GET", "/api/v1/keys")).json()["keys"]
    for _ in range(2):
        assert (await api_rig.call("DELETE", f"/api/v1/keys/{row['id']}")).status_code == 200
    assert (await api_rig.call("GET", "/api/v1/events", key=key)).status_code == 401
    expired = await api_rig.key()
    await api_rig.run(
        "update api_keys set expires_at = now() - interval '1 second' where revoked_at is null"
    )
    assert (await api_rig.call("GET", "/api/v1/events", key=expired)).status_code == 401


async def test_a_tenants_key_sees_its_tenant_only(api_rig: ApiRig) -> None:
    ids = await neighbours(api_rig)
    for tenant, other in (("loja", "outra"), ("outra", "loja")):
        key = await api_rig.key(tenant=tenant)
        listed = (await api_rig.call("GET", "/api/v1/events", key=key)).json()["events"]
        assert {event["tenant"] for event in listed} == {tenant}
        assert (
            await api_rig.call("GET", f"/api/v1/events/{ids[tenant]}", key=key)
        ).status_code == 200
        assert (
            await api_rig.call("GET", f"/api/v1/events/{ids[other]}", key=key)
        ).status_code == 404
        assert (await api_rig.call("GET", "/api/v1/ledger", key=key)).json()["accepted"] == 1
        groups = (await api_rig.call("GET", "/api/v1/dead-letters", key=key)).json()["groups"]
        assert [(group["tenant"], group["count"]) for group in groups] == [(tenant, 1)]


async def test_no_filter_widens_what_a_key_sees(api_rig: ApiRig) -> None:
    ids = await neighbours(api_rig)
    key = await api_rig.key(tenant="loja")
    for path in ("events", "ledger", "dead-letters", "review"):
        answer = await api_rig.call("GET", f"/api/v1/{path}", key=key, params={"tenant": "outra"})
        assert answer.status_code == 404, path
    admin_cursor = (await api_rig.call("GET", "/api/v1/events", params={"limit": 1})).json()[
        "next_cursor"
    ]
    page = await api_rig.call("GET", "/api/v1/events", key=key, params={"cursor": admin_cursor})
    assert all(event["tenant"] == "loja" for event in page.json()["events"])
    twice = await api_rig.call("GET", "/api/v1/events?tenant=loja&tenant=outra", key=key)
    assert twice.status_code == 404 or {e["tenant"] for e in twice.json()["events"]} <= {"loja"}
    assert ids["outra"] not in twice.text


async def test_no_change_reaches_another_tenant(api_rig: ApiRig) -> None:
    ids = await neighbours(api_rig)
    key = await api_rig.key(tenant="loja", role="admin")
    cause = {"stage": "dispatch", "reason": "rejected", "destination": "pixel"}
    attacks: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", f"replay/{ids['outra']}", {"force": True, "confirm_duplicate": True}),
        ("POST", "replay", {"tenant": "outra"}),
        ("POST", "dead-letters/replay", {"tenant": "outra", **cause}),
        ("POST", f"review/{ids['outra']}/accept", None),
        ("POST", f"review/{ids['outra']}/reject", {"then": "drop"}),
        ("POST", "keys", {"tenant": "outra", "role": "viewer", "name": "x"}),
    ]
    before = await api_rig.rows("select * from capi_events where tenant_id = 'outra'")
    for method, path, body in attacks:
        answer = await api_rig.call(method, f"/api/v1/{path}", key=key, json=body)
        assert answer.status_code == 404, (path, answer.text)
    for path, body in (("replay", {}), ("dead-letters/replay", cause)):
        assert (
            await api_rig.call("POST", f"/api/v1/{path}", key=key, json=body)
        ).status_code == 200
    assert await api_rig.rows("select * from capi_events where tenant_id = 'outra'") == before
    assert (
        await api_rig.rows(
            "select 1 from dead_letters where tenant_id = 'outra' and replayed_at is not null"
        )
        == []
    )
    assert all(message.subject.startswith("t.loja.") for message in api_rig.bus.messages.values())


async def test_keys_and_audit_of_other_tenants_stay_theirs(api_rig: ApiRig) -> None:
    await api_rig.key(tenant="outra", role="viewer")
    await api_rig.key(tenant=None, role="viewer")
    admin = await api_rig.key(tenant="loja", role="admin")
    listed = (await api_rig.call("GET", "/api/v1/keys", key=admin)).json()["keys"]
    assert {row["tenant"] for row in listed} == {"loja"}
    everyone = (await api_rig.call("GET", "/api/v1/keys")).json()["keys"]
    for row in everyone:
        if row["tenant"] != "loja":
            assert (
                await api_rig.call("DELETE", f"/api/v1/keys/{row['id']}", key=admin)
            ).status_code == 404
    assert {
        row["tenant"]
        for row in (await api_rig.call("GET", "/api/v1/audit", key=admin)).json()["audit"]
    } == {"loja"}
    made = await api_rig.call(
        "POST", "/api/v1/keys", key=admin, json={"role": "admin", "name": "mine"}
    )
    assert made.json()["tenant"] == "loja"


@pytest.mark.parametrize(
    ("role", "method", "path", "body", "status"),
    [
        ("viewer", "POST", "replay", {}, 403),
        ("viewer", "POST", "replay/ev_1", None, 403),
        ("viewer", "POST", "dead-letters/replay", {"stage": "match", "reason": "x"}, 403),
        ("viewer", "POST", "review/ev_1/accept", None, 403),
        ("viewer", "GET", "keys", None, 403),
        ("operator", "POST", "keys", {"role": "admin", "name": "x"}, 403),
        ("operator", "DELETE", "keys/key_1", None, 403),
        ("operator", "GET", "audit", None, 403),
        ("operator", "POST", "replay", {}, 200),
        ("admin", "GET", "audit", None, 200),
    ],
)
async def test_a_role_may_do_what_it_is_for(
    api_rig: ApiRig, role: str, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    key = await api_rig.key(role=role)
    answer = await api_rig.call(method, f"/api/v1/{path}", key=key, json=body)
    assert answer.status_code == status, answer.text


async def test_sql_of_a_tenants_transaction_sees_no_key_and_no_operation(api_rig: ApiRig) -> None:
    await api_rig.key()
    for table in ("api_keys", "operations"):
        with pytest.raises(Exception, match="InsufficientPrivilege"):
            async with api_rig.database.transaction(tenant="loja") as connection:
                await connection.execute(f"select * from {table}".encode())
    async with api_rig.database.transaction(tenant="outra") as connection:
        assert await (await connection.execute("select * from audit_log")).fetchall() == []


@pytest.mark.parametrize(
    "statement",
    ["update audit_log set actor = 'nobody'", "delete from audit_log", "truncate audit_log"],
)
async def test_the_audit_cannot_be_changed_by_the_worker(api_rig: ApiRig, statement: str) -> None:
    await api_rig.key()
    with pytest.raises(Exception, match="InsufficientPrivilege"):
        async with api_rig.database.transaction() as connection:
            await connection.execute("set local role sinal_worker")
            await connection.execute(statement.encode())


async def test_the_admin_key_works_without_the_database_and_others_are_told_why_not(
    api_rig: ApiRig,
) -> None:
    key = await api_rig.key()
    await api_rig.database.close()
    answer = await api_rig.call("GET", "/api/v1/events", key=key)
    assert answer.status_code == 503 and "PostgreSQL" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert (await api_rig.call("GET", "/healthz")).status_code == 200
