"""The emulator as one Starlette application: its parts wired together, and the paths they answer
on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.control import Control
from sinal_sandbox.edge import EventsEdge
from sinal_sandbox.errors import unknown_path
from sinal_sandbox.faults import FaultBoard
from sinal_sandbox.intake import Intake
from sinal_sandbox.journal import Journal
from sinal_sandbox.reads import Reads
from sinal_sandbox.records import EventLog, RequestLog
from sinal_sandbox.transport import Closing, json_answer

_ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Sandbox(NamedTuple):
    """One emulator: its application, what releases its hanging answers, and its journal to
    close.
    """

    app: Starlette
    closing: Closing
    journal: Journal | None


def build(
    config: SandboxConfig,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Sandbox:
    """An emulator with these settings.

    `clock` is Unix seconds, `monotonic` drives the windows of faults.
    """
    log = EventLog(keep=config.keep, keep_bytes=config.keep_bytes)
    requests = RequestLog(keep=config.keep_requests)
    board, closing = FaultBoard(clock=monotonic), Closing()
    journal = None
    if config.data_file is not None:
        journal = Journal(config.data_file, keep=config.keep)
        journal.load(log)
    intake = Intake(config=config, log=log, journal=journal, clock=clock)
    edge = EventsEdge(
        config=config, intake=intake, requests=requests, faults=board, closing=closing, clock=clock
    )
    control = Control(log=log, requests=requests, board=board, journal=journal)
    reads = Reads(config=config, intake=intake, log=log, faults=board, clock=clock)
    routes = [*_control_routes(control), *_graph_routes(edge, reads)]
    return Sandbox(Starlette(routes=routes), closing, journal)


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
        Route("/{version}/debug_token", reads.debug_token, methods=_ALL),
        Route("/{version}/dataset_quality", reads.dataset_quality, methods=_ALL),
        Route("/{version}/{pixel}", reads.pixel, methods=_ALL),
        Route("/{path:path}", _unknown, methods=_ALL),
    ]


async def _unknown(request: Request) -> Response:
    error = unknown_path(request.url.path)
    return json_answer(error.body(), status=error.status)
