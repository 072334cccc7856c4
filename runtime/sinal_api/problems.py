"""Errors of the operations API as problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from sinal_api.browsers import ANSWER
from sinal_core.http.problem import KIND, FieldError, Problem, document
from sinal_core.nats.errors import BusError
from sinal_core.postgres.errors import StoreRejected, StoreUnavailable
from sinal_core.telemetry.places import where
from sinal_hub.services.cursors import bad_cursor
from sinal_hub.services.errors import (
    Conflict,
    Exhausted,
    Forbidden,
    Invalid,
    NotConfigured,
    NotFound,
    ServiceError,
    Unavailable,
    Unprocessable,
)
from sinal_hub.store.reading import InvalidCursor

log = structlog.get_logger(__name__)

RETRY_S = "2"


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem document."""
    body = document(status, detail, errors=errors)
    return JSONResponse(body, status_code=status, media_type=KIND, headers=headers)


def refusal(error: Problem) -> HTTPException:
    """A refusal of the shell, as FastAPI hands it on to this module unchanged."""
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return HTTPException(error.status, error.detail, headers=headers)


_STATUS: dict[type[ServiceError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unprocessable: 422,
    NotConfigured: 501,
    Exhausted: 429,
    Unavailable: 503,
}


def status_of(error: ServiceError) -> int:
    """The HTTP status of an error of the domain.

    Of a subclass that of the error it is a kind of.
    """
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""

    @app.exception_handler(HTTPException)
    async def on_http_error(_: Request, error: HTTPException) -> Response:
        if error.status_code == 304:
            return Response(status_code=304, headers=error.headers)
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        if not _says_json(request) and any(item["loc"] == ("body",) for item in error.errors()):
            return problem(
                415,
                "send the header Content-Type: application/json; without it the body is not "
                "read as JSON",
            )
        errors = [
            FieldError(
                ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]),
                item["msg"].removeprefix("Value error, "),
            )
            for item in error.errors()
        ]
        return problem(400, f"{errors[0].field}: {errors[0].message}", errors=errors)

    @app.exception_handler(ServiceError)
    async def on_service_error(_: Request, error: ServiceError) -> Response:
        errors = [FieldError(*one) for one in error.faults]
        headers = (
            {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else None
        )
        return problem(status_of(error), str(error), errors=errors, headers=headers)

    @app.exception_handler(InvalidCursor)
    async def on_cursor(_: Request, __: InvalidCursor) -> Response:
        return problem(400, str(bad_cursor()))

    _install_outages(app)


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _install_outages(app: FastAPI) -> None:
    @app.exception_handler(StoreUnavailable)
    async def on_store_away(_: Request, error: StoreUnavailable) -> Response:
        log.warning("api.store_unavailable", error=str(error))
        return problem(
            503, "PostgreSQL does not answer; nothing was changed", headers={"Retry-After": RETRY_S}
        )

    @app.exception_handler(StoreRejected)
    async def on_store_refusal(_: Request, error: StoreRejected) -> Response:
        log.warning("api.store_rejected", error=str(error))
        return problem(400, "a value of this request is none that the database takes")

    @app.exception_handler(BusError)
    async def on_bus_away(_: Request, error: BusError) -> Response:
        log.warning("api.bus_unavailable", error=type(error).__name__)
        return problem(
            503, "the broker does not answer; try again", headers={"Retry-After": RETRY_S}
        )

    @app.exception_handler(Exception)
    async def on_fault(_: Request, error: Exception) -> Response:
        log.error("api.fault", error=type(error).__name__, at=where(error))
        detail = "this is a fault of the API, not of your request; its log knows where"
        return problem(500, detail, headers=ANSWER)  # made outside of all middleware
