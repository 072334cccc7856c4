"""Answers: JSON by msgspec, with an ETag so that who has it already is told so, and their schemas
for OpenAPI.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

_encode = msgspec.json.Encoder().encode
_REFS = "#/components/schemas/{name}"
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags of answers that the caller has.",
    "schema": {"type": "string"},
}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def answer(value: object, *, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(_encode(value), status_code=status, media_type="application/json")


def tagged(request: Request, value: object) -> Response:
    """The same with a weak ETag of its content, or 304 where If-None-Match has it."""
    body = _encode(value)
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    # no-cache lets a browser keep it and ask each time. The `no-store` that answers have else would
    # leave it nothing to compare.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = {
        # If-None-Match compares weakly (RFC 9110, 13.1.2): a `W/` makes no difference.
        part.strip().removeprefix("W/")
        for part in request.headers.get("if-none-match", "").split(",")
    }
    if etag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def says(
    kind: type, *, status: int = 200, description: str = "As the schema says."
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that answers with this type."""
    schema = msgspec.json.schema(kind, ref_template=_REFS)
    schema.pop("$defs", None)
    return {
        status: {"description": description, "content": {"application/json": {"schema": schema}}}
    }


def shows(kind: type) -> dict[int | str, dict[str, Any]]:
    """The same of a GET whose answer is `tagged`."""
    etag = {"ETag": {"description": "Of this content.", "schema": {"type": "string"}}}
    found = says(kind) | {304: {"description": "If-None-Match has it: nothing has changed."}}
    return {status: {**answer, "headers": etag} for status, answer in found.items()}


def document(app: FastAPI, *kinds: type) -> None:
    """Give the application an OpenAPI document with the schemas of these types and problems for all
    errors.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _, schemas = msgspec.json.schema_components(kinds, ref_template=_REFS)
            components = found.setdefault("components", {}).setdefault("schemas", {})
            components.update(schemas | {"Problem": PROBLEM})
            for operations in found["paths"].values():
                for operation in operations.values():
                    _problems(operation["responses"])
                    if "304" in operation["responses"]:
                        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problems(responses: dict[str, Any]) -> None:
    """FastAPI documents 422 with a body of its own; this API answers 400 and problems."""
    responses.pop("422", None)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses["4XX"] = {
        "description": "The request is at fault; `detail` says how.",
        "content": content,
    }
    responses["5XX"] = {
        "description": "Something behind the API is away; try again.",
        "content": content,
    }
