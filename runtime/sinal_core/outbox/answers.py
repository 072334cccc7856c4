"""What an answer of the other side means for the entries that were sent.

The invariant: an answer that does not prove that the entries were taken is never `delivered`, and
one that may hide that they were is never a plain `retry`.

| kind            | what it says                                   | what the worker does                        |
| --------------- | ---------------------------------------------- | ------------------------------------------- |
| `delivered`     | every entry was taken                          | close                                       |
| `retry`         | the service failed, nothing was taken          | again later                                 |
| `throttle`      | too many requests                              | stop the destination until the time given   |
| `credential`    | token dead or without permission               | pause the destination, probe                |
| `configuration` | the destination is declared wrongly            | pause the destination, probe                |
| `data`          | one of the entries breaks a rule               | bisect, dead letter for the culprit         |
| `request`       | the request as a whole was not understood      | bisect, it may be too large                 |
| `in_doubt`      | it may have arrived                            | as the destination's `on_doubt` says        |
| `unknown`       | refused for a reason not known here            | a few more times, then a dead letter        |
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

Kind = Literal[
    "delivered",
    "retry",
    "throttle",
    "credential",
    "configuration",
    "data",
    "request",
    "in_doubt",
    "unknown",
]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of one answer.

    `blame` holds indexes of entries that the other side named, a hint and not a proof; `answer` is
    what it said, as far as it is kept.
    """

    kind: Kind
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    retry_after_s: float | None = None
    trace_id: str | None = None  # by which the other side finds the request again
    blame: tuple[int, ...] = ()
    answer: str = ""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the quota is used, as one answer says.

    `regain_s` is None when nothing tells how long to stay away.
    """

    percent: float = 0.0
    regain_s: float | None = None
    version_warning: str | None = None  # what is said of the version of the API that we speak


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one request."""

    verdict: Verdict
    usage: Usage = Usage()
    latency_ms: int = 0


def by_status(http_status: int, answer: str = "", *, wait_s: float | None = None) -> Verdict:
    """The verdict on an answer of which only the HTTP status is understood, never `delivered`.

    502 and 504 may hide that an upstream took the request. `wait_s` is what the answer's
    Retry-After says.
    """
    kind: Kind = "unknown"
    if http_status == 429:
        kind = "throttle"
    elif http_status in (502, 504):
        kind = "in_doubt"
    # 408: the server has not had the whole request (RFC 9110, 15.5.9), so it took nothing
    elif http_status >= 500 or http_status == 408:
        kind = "retry"
    elif http_status == 413:
        kind = "request"
    return Verdict(
        kind=kind,
        http_status=http_status,
        # the two that say by it when the service is back: RFC 6585 (4) and RFC 9110 (15.6.4)
        retry_after_s=wait_s if http_status in (429, 503) else None,
        answer=answer,
    )


def retry_after_s(text: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for; None where it says nothing readable.

    `now` is in Unix seconds, for headers that hold a date.
    """
    if text is None:
        return None
    plain = text.strip()
    # digits of other scripts and raised ones are digits, and are not numbers
    if plain.isascii() and plain.isdigit():
        return float(plain)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
