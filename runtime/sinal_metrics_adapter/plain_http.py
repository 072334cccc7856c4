"""The adapter over plain HTTP: depths for KEDA's metrics-api scaler and for people, health,
metrics.

Numbers only, so nobody needs a name. Without the broker the adapter stays ready: it still answers
the API server, which could not end a namespace otherwise, and says of each figure that it is not
known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sinal_core.http import health
from sinal_core.http.problem import KIND, document
from sinal_core.http.readiness import Readiness
from sinal_core.nats import BusError
from sinal_hub.status.depths import ROLES, DepthSource, QueueDepths

Shape = Callable[[QueueDepths], dict[str, Any]]


def build(source: DepthSource, standing: Callable[[], Awaitable[Readiness]]) -> Starlette:
    """The ASGI application; a depth that is not known now is answered 503."""

    async def all_roles(_: Request) -> Response:
        return await _answer(
            source, lambda reading: {"roles": [_of(reading, role) for role in ROLES]}
        )

    async def one_role(request: Request) -> Response:
        role = request.path_params["role"]
        if role not in ROLES:
            return _problem(
                404, f"there is no role {role!r} with a queue; there are {' and '.join(ROLES)}"
            )
        return await _answer(source, lambda reading: _of(reading, role))

    own = [Route("/depth", all_roles), Route("/depth/{role}", one_role)]
    return Starlette(routes=[*own, *health.build(standing).routes])


async def _answer(source: DepthSource, shape: Shape) -> Response:
    try:
        return JSONResponse(shape(await source.reading()))
    except BusError:
        return _problem(503, "the depths are not known now: the broker does not answer")


def _of(reading: QueueDepths, role: str) -> dict[str, Any]:
    queue = reading.of_role(role)
    return {
        "role": role,
        "depth": queue.messages,
        "oldest_seconds": round(queue.oldest_s(reading.at), 3),
        "at": reading.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _problem(status: int, detail: str) -> Response:
    return JSONResponse(document(status, detail), status_code=status, media_type=KIND)
