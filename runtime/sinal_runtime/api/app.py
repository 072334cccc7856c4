"""The operations API: what became of every event, for people and programs (OpenAPI under /docs)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec
from fastapi import FastAPI, HTTPException, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import SecretStr

from sinal_runtime.api import problems
from sinal_runtime.api.access import Access, Admitted
from sinal_runtime.store.reading import EventDetail, EventFilter, InvalidCursor, Ledger, Page

Outcome = Literal["in_flight", "delivered", "withheld", "dead"]
Decision = Literal["match", "review", "unmatched"]


class Events(Protocol):
    """What the API reads; `store.reading.EventReader` in production."""

    async def get_event(self, tenant: str | None, event_id: str) -> EventDetail | None:
        """One event with its timeline."""
        ...

    async def list_events(self, filters: EventFilter, *, cursor: str | None, limit: int) -> Page:
        """A page of events, newest first; raises InvalidCursor."""
        ...

    async def ledger(self, tenant: str | None) -> Ledger:
        """How the accepted events ended."""
        ...

    async def ping(self) -> bool:
        """Whether the store answers."""
        ...


def build(events: Events, *, admin_key: SecretStr | None) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(title="Sinal operations API", version="1", openapi_url="/openapi.json", redoc_url=None)
    app.state.access = Access(admin_key)
    problems.install(app)
    _add_events(app, events)
    _add_health(app, events)
    return app


def _add_events(app: FastAPI, events: Events) -> None:
    @app.get("/api/v1/events", summary="Events, newest first")
    async def list_events(
        _: Admitted,
        tenant: str | None = None,
        funnel: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        gateway: str | None = None,
        order_id: str | None = None,
        click_id: str | None = None,
        outcome: Outcome | None = None,
        decision: Decision | None = None,
        email_sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        """Filters combine; `cursor` is the `next_cursor` of the page before."""
        filters = EventFilter(
            tenant=tenant, funnel=funnel, kind=kind, status=status, gateway=gateway, order_id=order_id,
            click_id=click_id, outcome=outcome, decision=decision, email_sha256=email_sha256, since=since, until=until,
        )  # fmt: skip
        try:
            return _json(await events.list_events(filters, cursor=cursor, limit=limit))
        except InvalidCursor:
            raise HTTPException(400, "cursor: not one that this API gave; start again without it") from None

    @app.get("/api/v1/events/{event_id}", summary="One event: received, matched, delivered")
    async def get_event(_: Admitted, event_id: str) -> Response:
        """The whole timeline of one event."""
        found = await events.get_event(None, event_id)
        if found is None:
            raise HTTPException(404, f"no event {event_id[:64]!r}; it may not be stored yet: ask again in a second")
        return _json(found)

    @app.get("/api/v1/ledger", summary="How the accepted events ended")
    async def ledger(_: Admitted, tenant: str | None = None) -> Response:
        """accepted = delivered + withheld + dead + in_flight."""
        return _json(await events.ledger(tenant))


def _add_health(app: FastAPI, events: Events) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> dict[str, Any]:
        answers = await events.ping()
        response.status_code = 200 if answers else 503
        return {"status": "ready" if answers else "not ready", "postgres": answers}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
