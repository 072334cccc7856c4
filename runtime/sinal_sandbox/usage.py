"""Usage headers of the Graph API: how much of the hour's quota a pixel's calls have used, in
percent.

Meta states no limit of its own for the Conversions API; its calls count as Marketing API calls,
100,000 an hour in the full tier. The emulator counts and never throttles by itself: throttling is a
fault of a script.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sinal_sandbox.transport import encode

CALLS_AN_HOUR = 100_000
_HOUR_S = 3_600
_TIER = "standard_access"


class CallMeter:
    """Calls per pixel in the running clock hour; `clock` is Unix seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hour = 0
        self._calls: dict[str, int] = {}

    def count(self, pixel: str) -> dict[str, str]:
        """Count one call; the headers of its answer."""
        hour = int(self._clock()) // _HOUR_S
        if hour != self._hour:
            self._hour = hour
            self._calls.clear()
        self._calls[pixel] = self._calls.get(pixel, 0) + 1
        return usage_headers(pixel, min(100, self._calls[pixel] * 100 // CALLS_AN_HOUR))


def usage_headers(pixel: str, percent: int, *, regain_s: int = 0) -> dict[str, str]:
    """App and business usage at this percentage; `regain_s` seconds until access is back."""
    shares = {"call_count": percent, "total_cputime": percent, "total_time": percent}
    business = {
        "type": "ads_management",
        **shares,
        "estimated_time_to_regain_access": math.ceil(regain_s / 60),  # minutes
        "ads_api_access_tier": _TIER,
    }
    return {
        "X-App-Usage": encode(shares).decode(),
        "X-Business-Use-Case-Usage": encode({pixel: [business]}).decode(),
    }


def throttled_headers(pixel: str, *, retry_after_s: int | None) -> dict[str, str]:
    """Headers of a throttled call: everything used up, and when it ends where the script says
    so.
    """
    seconds = retry_after_s or 0
    account = {"acc_id_util_pct": 100, "reset_time_duration": seconds, "ads_api_access_tier": _TIER}
    headers = usage_headers(pixel, 100, regain_s=seconds)
    headers["X-Ad-Account-Usage"] = encode(account).decode()
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return headers
