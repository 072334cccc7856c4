"""Health, readiness and metrics of a role that has no HTTP of its own.

`/healthz` says that the event loop turns; `/readyz` names each dependency and whether it answers; `/metrics` is for
Prometheus.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Readiness = Callable[[], Awaitable[Mapping[str, bool]]]


def build(readiness: Readiness) -> Starlette:
    """The ASGI application; `readiness` gives each dependency by name."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        answers = dict(await readiness())
        ready = all(answers.values())
        body = {"status": "ready" if ready else "not ready", **answers}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
