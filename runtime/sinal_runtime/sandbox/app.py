"""The emulator as one Starlette application: its parts wired together, and the paths they answer on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sinal_runtime.sandbox import versions
from sinal_runtime.sandbox.config import SandboxConfig
from sinal_runtime.sandbox.control import Control
from sinal_runtime.sandbox.edge import EventsEdge
from sinal_runtime.sandbox.errors import GraphError, deprecated_version, missing_object, unknown_path
from sinal_runtime.sandbox.faults import FaultBoard
from sinal_runtime.sandbox.intake import Intake
from sinal_runtime.sandbox.journal import Journal
from sinal_runtime.sandbox.reads import Reads
from sinal_runtime.sandbox.records import EventLog, RequestLog
from sinal_runtime.sandbox.transport import Closing, json_answer

_ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Sandbox(NamedTuple):
    """One emulator: its application, what releases its hanging answers, and its journal to close."""

    app: Starlette
    closing: Closing
    journal: Journal | None


def build(
    config: SandboxConfig,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Sandbox:
    """An emulator with these settings; `clock` is Unix seconds, `monotonic` drives the windows of faults."""
    log = EventLog(keep=config.keep, keep_bytes=config.keep_bytes)
    requests = RequestLog(keep=config.keep_requests)
    board, closing = FaultBoard(clock=monotonic), Closing()
    journal = None
    if config.data_file is not None:
        journal = Journal(config.data_file, keep=config.keep)
        journal.load(log)
    intake = Intake(config=config, log=log, journal=journal, clock=clock)
    edge = EventsEdge(config=config, intake=intake, requests=requests, faults=board, closing=closing, clock=clock)
    control = Control(log=log, requests=requests, board=board, journal=journal)
    reads = Reads(config=config, intake=intake, log=log, clock=clock)
    routes = [*_control_routes(control), *_graph_routes(edge, reads), _fallback(clock)]
    return Sandbox(Starlette(routes=routes, exception_handlers={405: _wrong_method}), closing, journal)


def _control_routes(control: Control) -> list[Route]:
    return [
        Route("/_sandbox/events", control.events, methods=["GET"]),
        Route("/_sandbox/requests", control.requests, methods=["GET"]),
        Route("/_sandbox/faults", control.show_faults, methods=["GET"]),
        Route("/_sandbox/faults", control.post_faults, methods=["POST"]),
        Route("/_sandbox/faults", control.clear_faults, methods=["DELETE"]),
        Route("/_sandbox/health", control.health, methods=["GET"]),
        Route("/_sandbox", control.clear, methods=["DELETE"]),
    ]


def _graph_routes(edge: EventsEdge, reads: Reads) -> list[Route]:
    return [
        Route("/{version}/{pixel}/events", edge.handle, methods=_ALL),
        Route("/{version}/debug_token", reads.debug_token, methods=["GET"]),
        Route("/{version}/dataset_quality", reads.dataset_quality, methods=["GET"]),
        Route("/{version}/{pixel}", reads.pixel, methods=["GET"]),
    ]


async def _wrong_method(request: Request, _: Exception) -> Response:
    error = missing_object(request.url.path.rsplit("/", 1)[-1], request.method)
    return json_answer(error.body(), status=error.status)


def _fallback(clock: Callable[[], float]) -> Route:
    async def unknown(request: Request) -> Response:
        path = request.url.path
        error: GraphError = unknown_path(path)
        if path.endswith("/events") and not versions.is_version(path.split("/")[1]):
            error = deprecated_version(None, versions.oldest_supported(clock()))
        return json_answer(error.body(), status=error.status)

    return Route("/{path:path}", unknown, methods=_ALL)
