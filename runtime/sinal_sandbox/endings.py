"""How a request with a fault ends: the fault's kind becomes an ASGI answer, and the request log
says what left.

`answer` is the normal answer of stored events, None where nothing was stored.
"""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from sinal_sandbox.errors import GraphError
from sinal_sandbox.faults import ScriptedFault
from sinal_sandbox.records import RequestEntry
from sinal_sandbox.transport import Closing, Dribble, Hang, Late, Reset, json_answer
from sinal_sandbox.usage import throttled_headers

DEFAULT_DELAY_MS = 5_000  # of latency and slow_body
_PAGE = (
    "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went "
    "wrong.</h1></body></html>"
)


def ending(
    fault: ScriptedFault,
    *,
    pixel: str,
    answer: Response | None,
    entry: RequestEntry,
    headers: dict[str, str],
    closing: Closing,
) -> ASGIApp:
    """The ASGI answer of a fault."""
    seconds = (DEFAULT_DELAY_MS if fault.delay_ms is None else fault.delay_ms) / 1_000
    if answer is not None and fault.kind == "latency":
        return Late(answer, seconds=seconds, closing=closing)
    if answer is not None and fault.kind == "slow_body":
        return Dribble(answer, seconds=seconds, closing=closing)
    if answer is not None and fault.kind == "answer_then_reset":
        return Reset(after_half_of=answer)
    if fault.kind in ("reset", "accept_then_reset"):
        entry.status = None
        return _delayed(Reset(), fault, closing)
    if fault.kind in ("hang", "accept_then_hang", "timeout_after_accept"):
        entry.status = None
        return Hang(seconds=None if fault.delay_ms is None else seconds, closing=closing)
    return _delayed(_error(fault, pixel, entry, headers), fault, closing)


def _error(
    fault: ScriptedFault, pixel: str, entry: RequestEntry, headers: dict[str, str]
) -> Response:
    if fault.kind == "html":
        entry.status = fault.status or 502
        return HTMLResponse(_PAGE, status_code=entry.status)
    error: GraphError = fault.error()
    entry.status, entry.code, entry.subcode = error.status, error.code, error.subcode
    if fault.kind == "throttle":
        headers |= throttled_headers(pixel, retry_after_s=fault.retry_after_s)
    elif fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    return json_answer(error.body(), status=error.status, headers=headers)


def _delayed(answer: ASGIApp, fault: ScriptedFault, closing: Closing) -> ASGIApp:
    return (
        answer
        if fault.delay_ms is None
        else Late(answer, seconds=fault.delay_ms / 1_000, closing=closing)
    )
