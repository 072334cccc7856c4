"""Health, readiness and metrics of a process, on a port that nobody is meant to reach but probes
and scrapers.

`/healthz` says that the event loop turns; `/readyz` says what the role needs and whether it
answers; `/metrics` is for Prometheus. The last two name tenants and services: listeners for the
world have neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sinal_core.http.readiness import Readiness

_NO_STORE = {"Cache-Control": "no-store"}


async def alive(_: Request) -> Response:
    """That the event loop turns: all that anybody may hear."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


def build(
    standing: Callable[[], Awaitable[Readiness]], *, observe: Callable[[], None] = lambda: None
) -> Starlette:
    """The ASGI application.

    `observe` is called before each scrape, for gauges that are only true when looked at.
    """

    async def readyz(_: Request) -> Response:
        now = await standing()
        body = msgspec.json.encode(now.told)
        status = 200 if now.ready else 503
        return Response(body, status_code=status, media_type="application/json", headers=_NO_STORE)

    async def metrics(_: Request) -> Response:
        observe()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)

    return Starlette(
        routes=[Route("/healthz", alive), Route("/readyz", readyz), Route("/metrics", metrics)]
    )
