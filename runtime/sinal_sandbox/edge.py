"""The events edge, `POST /{version}/{pixel}/events`.

A request goes through version, body, fault, token, pixel, rules, in this order; a fault that stores
the events lets them through the rest first, and events that are refused there are answered as
without the fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sinal_sandbox import bodies, versions
from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.endings import ending
from sinal_sandbox.errors import GraphError, missing_object, trace_id
from sinal_sandbox.faults import FaultBoard, ScriptedFault
from sinal_sandbox.intake import Intake
from sinal_sandbox.records import RequestEntry, RequestLog
from sinal_sandbox.transport import Closing, json_answer
from sinal_sandbox.usage import CallMeter


class EventsEdge:
    """`POST /{version}/{pixel}/events`; `clock` is Unix seconds."""

    def __init__(
        self,
        *,
        config: SandboxConfig,
        intake: Intake,
        requests: RequestLog,
        faults: FaultBoard,
        closing: Closing,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._intake = intake
        self._requests = requests
        self._faults = faults
        self._closing = closing
        self._clock = clock
        self._meter = CallMeter(clock=clock)

    async def handle(self, request: Request) -> ASGIApp:
        """Answer one request, or fail it as the script says."""
        started = time.perf_counter()
        version, pixel = request.path_params["version"], request.path_params["pixel"]
        entry = self._requests.open(at=int(self._clock() * 1_000), pixel=pixel, version=version)
        headers = self._meter.count(pixel)
        try:
            headers |= versions.check(
                version, now_s=self._clock(), expired=self._config.expired_version
            )
            if request.method != "POST":
                raise missing_object(pixel, request.method)
            submission = bodies.decode(
                await _read(request, self._config.max_body_bytes),
                headers=request.headers,
                query=request.query_params,
            )
        except GraphError as error:
            return _Logged(_refusal(error, entry, headers), entry, started)
        entry.events = len(submission.events)
        self._faults.used(submission.access_token, pixel)
        fault = self._faults.choose(pixel, submission.events)
        if fault is None:
            answer: ASGIApp = self._answer(pixel, submission, entry, headers)
        else:
            answer = self._fail(fault, pixel, submission, entry, headers)
        return _Logged(answer, entry, started)

    def _answer(
        self,
        pixel: str,
        submission: bodies.Submission,
        entry: RequestEntry,
        headers: dict[str, str],
    ) -> Response:
        try:
            self._intake.check_token(submission.access_token)
            self._intake.check_pixel(pixel, "POST")
            self._intake.accept(pixel, submission)
        except GraphError as error:
            return _refusal(error, entry, headers)
        entry.accepted, entry.status = True, 200
        content = {
            "events_received": len(submission.events),
            "messages": [],
            "fbtrace_id": trace_id(),
        }
        return json_answer(content, headers=headers)

    def _fail(
        self,
        fault: ScriptedFault,
        pixel: str,
        submission: bodies.Submission,
        entry: RequestEntry,
        headers: dict[str, str],
    ) -> ASGIApp:
        entry.fault = fault.kind
        answer: Response | None = None
        if fault.stores:
            answer = self._answer(pixel, submission, entry, headers)
            if not entry.accepted:
                return answer  # refused on its own account
        return ending(
            fault, pixel=pixel, answer=answer, entry=entry, headers=headers, closing=self._closing
        )


class _Logged:
    """An answer that closes its line in the request log; the time is until the last byte left."""

    def __init__(self, answer: ASGIApp, entry: RequestEntry, started: float) -> None:
        self._answer = answer
        self._entry = entry
        self._started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._entry.ms = round((time.perf_counter() - self._started) * 1_000, 3)


def _refusal(error: GraphError, entry: RequestEntry, headers: dict[str, str]) -> Response:
    entry.status, entry.code, entry.subcode = error.status, error.code, error.subcode
    return json_answer(error.body(), status=error.status, headers=headers)


async def _read(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        # Counted as it comes: Content-Length may be missing, or wrong.
        size += len(part)
        if size > limit:
            raise GraphError(f"The request is larger than {limit} bytes", code=100, status=413)
        parts.append(part)
    return b"".join(parts)
