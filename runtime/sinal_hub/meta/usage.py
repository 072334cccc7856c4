"""How much of its quota Meta says we used: the usage headers of a Graph answer, as one number and
one waiting time.

Meta sends up to three JSON headers, each with its own unit (percent everywhere; minutes in one,
seconds in another), and proxies may add Retry-After. Unreadable headers count as silence: they must
never cost an answer its meaning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sinal_core.outbox.answers import Usage, retry_after_s

_COUNTS = ("call_count", "total_cputime", "total_time")


def read(headers: Mapping[str, str], *, now: float | None = None) -> Usage:
    """Usage of an answer.

    `headers` by lower-case name, `now` in Unix seconds for dates in Retry-After.
    """
    percents, waits = [0.0], []
    for percent, wait_s in _entries(headers):
        percents.append(percent)
        if wait_s > 0:
            waits.append(wait_s)
    retry_after = retry_after_s(headers.get("retry-after"), time.time() if now is None else now)
    if retry_after is not None:
        waits.append(retry_after)
    return Usage(
        percent=max(percents),
        regain_s=max(waits) if waits else None,
        version_warning=headers.get("x-ad-api-version-warning"),
    )


def _entries(headers: Mapping[str, str]) -> Iterator[tuple[float, float]]:
    """(percent, seconds to wait) of every bucket that any header names."""
    app = _object(headers.get("x-app-usage"))
    # This header tells how much is used, and nothing of when it is free again.
    yield _percent(app), 0.0
    for buckets in _object(headers.get("x-business-use-case-usage")).values():
        for bucket in buckets if isinstance(buckets, list) else []:
            if isinstance(bucket, dict):
                yield _percent(bucket), _number(bucket.get("estimated_time_to_regain_access")) * 60
    account = _object(headers.get("x-ad-account-usage"))
    used = _number(account.get("acc_id_util_pct"))
    # The time to the next reset is always told; it is a waiting time only when nothing is left.
    yield used, _number(account.get("reset_time_duration")) if used >= 100 else 0.0


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _percent(bucket: Mapping[str, Any]) -> float:
    return max(_number(bucket.get(name)) for name in _COUNTS)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
