"""The adapter over plain HTTP: depths for KEDA's metrics-api scaler and for people, health,
metrics.

Numbers only, so nobody needs a name. Without the broker the adapter stays ready: it still answers
the API server, which could not end a namespace otherwise, and says of each figure that it is not
known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sinal_core.http import health
from sinal_core.http.readiness import Readiness
from sinal_core.nats import BusError
from sinal_hub.status.depths import ROLES, DepthSource, Reading

Shape = Callable[[Reading], dict[str, Any]]


@dataclass(frozen=True)
class AdapterHealth:
    """How the adapter stands: whether it can do its work, each thing it needs, and what a person
    has to know.
    """

    ready: bool
    needs: Mapping[str, bool]
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """As `/readyz` tells it."""
        said = {} if self.reason is None else {"reason": self.reason}
        return {"status": "ready" if self.ready else "not ready", **self.needs, **said}


def build(source: DepthSource, standing: Callable[[], AdapterHealth]) -> Starlette:
    """The ASGI application; a depth that is not known now is answered 503."""

    async def told() -> Readiness:
        now = standing()
        return Readiness(now.ready, now.document())

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
    return Starlette(routes=[*own, *health.build(told).routes])


async def _answer(source: DepthSource, shape: Shape) -> Response:
    try:
        return JSONResponse(shape(await source.reading()))
    except BusError:
        return _problem(503, "the depths are not known now: the broker does not answer")


def _of(reading: Reading, role: str) -> dict[str, Any]:
    queue = reading.of_role(role)
    return {
        "role": role,
        "depth": queue.messages,
        "oldest_seconds": round(queue.oldest_s(reading.at), 3),
        "at": reading.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
