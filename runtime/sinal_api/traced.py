"""Requests of the API as spans: what a person or a program asked goes on in PostgreSQL and, with a
replay, to Meta.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sinal_core.telemetry.tracing import HEADER, Tracer

PREFIX = "/api/"  # probes and scrapes come every few seconds and tell nothing
STREAM = "/api/v1/events/stream"  # never ends


class Traced:
    """Middleware: a span for each request, by its route and never by its path, which may name
    people and orders.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on within its span."""
        if (
            scope["type"] != "http"
            or not scope["path"].startswith(PREFIX)
            or scope["path"] == STREAM
        ):
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.request("api.request", Headers(scope=scope).get(HEADER)) as span:
            try:
                await self._app(scope, receive, noted)
            finally:
                # the router puts it there, so that it is known only now
                route = getattr(scope.get("route"), "path", "")
                span.set(
                    http_request_method=scope["method"],
                    http_route=route,
                    http_response_status_code=status,
                )
