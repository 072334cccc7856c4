"""What the OpenAPI document promises, the API keeps: statuses, content types, schemas, no fault,
whoever asks.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from tests.support.fix_operations import ADMIN_KEY, RunningApi

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
Operation = APIOperation[Any, Any, Any, Any]
EXAMPLES = 12  # of each operation and kind of caller
LETTER = """
insert into dead_letters (tenant_id, stage, event_row, capi_event_id, capi_created_at, destination, reason, body)
select tenant_id, 'dispatch', source_event, id, created_at, destination, reason, payload_json from capi_events
"""
SPARED = ("/api/v1/events/stream",)  # endless


async def one_of_each(api: RunningApi) -> dict[str, str]:
    """A dead sale with its letter and a kept delivery.

    The values of path parameters that lead to them.
    """
    sale, click = api.room.sale(), api.room.sale("pending", order="HP2")
    await api.room.deliver(sale, click)
    async with api.room.database.transaction() as connection:
        await connection.execute(b"update capi_events set status = 'dead', reason = 'rejected'")
        await connection.execute(LETTER.encode())
    kept = await api.sealed.keep(
        tenant="loja",
        integration="hotmart-principal",
        gateway="hotmart",
        raw=b"<html>",
        reason="no JSON",
    )
    return {"event_id": sale.id, "kept_id": kept, "tenant": "loja", "slug": "loja"}


def without_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the need of a key: the test gives keys itself."""
    plain = {name: {**item} for name, item in document["paths"].items()}
    for item in plain.values():
        item.update({method: {**one, "security": []} for method, one in item.items()})
    return {**document, "paths": plain}


def callers(api: RunningApi) -> dict[str, str]:
    """Keys by who holds them."""
    body = {"tenant": "loja", "role": "admin", "name": "a test's"}
    made = api.ask("POST", "/api/v1/keys", json=body)
    assert made.status_code == 201, made.text
    return {"platform": ADMIN_KEY, "tenant": made.json()["key"], "nobody": "sak_wrong"}


def pursue(api: RunningApi, operation: Operation, known: dict[str, str], keys: list[str]) -> None:
    """Ask one operation in every way the document allows, and in some that it forbids."""
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]

    @settings(
        max_examples=EXAMPLES * len(keys), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(modes))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in case.path_parameters or {}:
            if (
                name in known
                and mode is schemathesis.GenerationMode.POSITIVE
                and data.draw(st.booleans())
            ):
                case.path_parameters[name] = known[name]
        kwargs = case.as_transport_kwargs(base_url="http://api")
        key = data.draw(st.sampled_from(keys))
        headers = {**dict(kwargs.get("headers") or {}), "Authorization": f"Bearer {key}"}
        method, url, params, body = (
            kwargs.get(name) for name in ("method", "url", "params", "data")
        )
        sent = {"json": kwargs["json"]} if "json" in kwargs else {"content": body or b""}
        answer = api.ask(str(method), str(url), params=params, headers=headers, **sent)
        case.validate_response(answer, checks=CHECKS)

    one()


def test_every_operation_keeps_what_the_document_says(running_api: RunningApi) -> None:
    known = running_api.run(one_of_each(running_api))
    keys = list(callers(running_api).values())
    schema = schemathesis.openapi.from_dict(without_keys(running_api.app.openapi()))
    every = list(schema.get_all_operations())
    found = [result.ok() for result in every if isinstance(result, Ok)]
    assert len(found) == len(every)  # the document describes each of them rightly
    assert {"/api/v1/privacy/exports", "/api/v1/quarantine/reparse"} <= {one.path for one in found}
    for operation in found:
        if operation.path not in SPARED:
            pursue(running_api, operation, known, keys)
