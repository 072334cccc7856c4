"""What an answer of the Graph API means for the events that were sent.

Decided by error code, subcode and `is_transient` alone: HTTP status and wording vary (190 comes
with 400 and 401, messages are translated, `type` is OAuthException for nearly everything). The
invariant: an answer that does not prove that Meta took the events is never `delivered`, and one
that may hide that it did is never a plain `retry`.
The kinds stand in `sinal_core.outbox.answers`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sinal_core.outbox.answers import Kind, Usage, Verdict, by_status
from sinal_core.telemetry.masking import without_secret

TRANSIENT = frozenset({1, 2, 341, 5000, 21009, 3910001})
# From 80000 on: quotas of Meta's business use cases. Each of them asks for a pause.
THROTTLED = frozenset({4, 17, 32, 613, *range(80000, 80015)})
BLOCKED = 368  # temporarily blocked for policy violations: wait long
BLOCKED_WAIT_S = 900.0
# Session (102), proof of the app's secret (104), token (190); all others are permissions.
CREDENTIAL = frozenset({3, 10, 102, 104, 190, *range(200, 300)})
# 2500: no such path; 2635: a version of the API that has ended.
CONFIGURATION = frozenset({2500, 2635})
PARAMETER = 100
# 33: no such object, or no permission to see it; the rest: dataset, page and WhatsApp account do
# not belong together
CONFIGURATION_SUBCODES = frozenset(
    {33, 2804069, 2804079, 2804116, 2804117, 2804118, 2804131, 2804132}
)
DATA = frozenset({506, 1609005})
ANSWER_LIMIT = 2_000  # characters of an answer that are kept

_BLAMED_INDEX = re.compile(r"\bdata\W{1,4}(\d{1,4})\b")


class GraphFailure(Exception):
    """The Graph API gave no answer."""


class NotSent(GraphFailure):
    """The request never left: nothing can have arrived."""


class NoAnswer(GraphFailure):
    """The request may have arrived, its answer did not."""


def classify(
    http_status: int | None,
    body: bytes | GraphFailure,
    *,
    sent: int,
    usage: Usage | None = None,
    secret: str = "",
) -> Verdict:
    """The verdict on a request of `sent` events, from its answer or from the failure to get one.

    The answer is judged as it came; the text of it that is kept is without the `secret`, which Meta
    may quote.
    """
    if isinstance(body, GraphFailure):
        kind: Kind = "retry" if isinstance(body, NotSent) else "in_doubt"
        return Verdict(kind=kind, answer=f"{type(body).__name__}: {body}"[:ANSWER_LIMIT])
    status = http_status or 0
    text = without_secret(body.decode(errors="replace"), secret, limit=ANSWER_LIMIT)
    answer = _object(body)
    regain_s = usage.regain_s if usage else None
    if 200 <= status < 300 and "error" not in answer:
        return _accepted(status, answer, text, sent)
    error = answer.get("error")
    if not isinstance(error, dict):
        return by_status(status, text, wait_s=regain_s)
    return _refused(status, error, text, regain_s)


def _accepted(status: int, answer: dict[str, Any], text: str, sent: int) -> Verdict:
    """Anything but a full count on a 2xx proves nothing: a proxy's page, a changed answer, a
    part.
    """
    received = answer.get("events_received")
    whole = isinstance(received, int) and received >= sent
    trace = _text(answer.get("fbtrace_id"))
    return Verdict(
        kind="delivered" if whole else "in_doubt", http_status=status, trace_id=trace, answer=text
    )


def _refused(status: int, error: dict[str, Any], text: str, regain_s: float | None) -> Verdict:
    code, subcode = _int(error.get("code")), _int(error.get("error_subcode"))
    kind = _kind(status, code, subcode, error.get("is_transient") is True)
    # Usage headers may come with any refusal. Where an event or the token is the trouble, their
    # time is not what to wait for.
    wait_s = regain_s if kind in ("throttle", "retry") else None
    if code == BLOCKED:
        wait_s = max(wait_s or 0.0, BLOCKED_WAIT_S)
    return Verdict(
        kind=kind,
        http_status=status,
        code=code,
        subcode=subcode,
        retry_after_s=wait_s,
        trace_id=_text(error.get("fbtrace_id")),
        blame=_blame(error.get("error_data")) if kind in ("data", "request") else (),
        answer=text,
    )


def _kind(status: int, code: int | None, subcode: int | None, transient: bool) -> Kind:
    """First row that holds: what stops a destination goes before what blames an event."""
    meta_data = subcode is not None and 2804000 <= subcode < 2805000
    rows: tuple[tuple[bool, Kind], ...] = (
        (code in THROTTLED or code == BLOCKED, "throttle"),
        (code in CREDENTIAL, "credential"),
        (code in CONFIGURATION or subcode in CONFIGURATION_SUBCODES, "configuration"),
        (transient or code in TRANSIENT, "retry"),
        (code in DATA or meta_data, "data"),
        # Code 100 without a subcode of events may be the fault of one event or of the whole
        # request: bisect finds out which.
        (code == PARAMETER or status == 413, "request"),
        (status == 429, "throttle"),
        (status >= 500, "retry"),
    )
    return next((kind for holds, kind in rows if holds), "unknown")


def _blame(error_data: object) -> tuple[int, ...]:
    """Indexes in `data` that `blame_field_specs` names.

    Meta sends error_data as an object or as JSON in a string.
    """
    if isinstance(error_data, str):
        error_data = _object(error_data.encode())
    specs = error_data.get("blame_field_specs") if isinstance(error_data, dict) else None
    if not isinstance(specs, list):
        return ()
    paths = (
        ".".join(str(step) for step in spec) if isinstance(spec, list) else str(spec)
        for spec in specs
    )
    return tuple(sorted({int(found[1]) for path in paths if (found := _BLAMED_INDEX.search(path))}))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value[:64] if isinstance(value, str) else None
