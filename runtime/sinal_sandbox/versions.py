"""Graph API versions and when they end.

The Conversions API follows the Graph schedule, about two years a version.

Source: the Graph API changelog's version table as of September 2026. A version newer than the table
is an unknown path.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sinal_sandbox.config import ExpiredVersion
from sinal_sandbox.errors import deprecated_version, unknown_path

NEWEST = 26
# Major version -> first day it is gone; a version below the table is gone for long.
_ENDS: dict[int, datetime] = {
    18: datetime(2026, 1, 26, tzinfo=UTC),
    19: datetime(2026, 5, 21, tzinfo=UTC),
    20: datetime(2026, 9, 24, tzinfo=UTC),
    21: datetime(2027, 1, 21, tzinfo=UTC),
    22: datetime(2027, 5, 20, tzinfo=UTC),
    23: datetime(2027, 10, 8, tzinfo=UTC),
    24: datetime(2028, 2, 18, tzinfo=UTC),
    25: datetime(2028, 7, 29, tzinfo=UTC),
}
_VERSION = re.compile(r"v(\d{1,3})\.\d{1,2}")


def check(version: str, *, now_s: float, expired: ExpiredVersion) -> dict[str, str]:
    """Headers to add for this version.

    Raises GraphError 2500 for an unknown one, 2635 for an expired one and for an object id in its
    place: a call without a version is invalid in the Marketing API.
    """
    if version.isascii() and version.isdigit():
        raise deprecated_version(None, oldest_supported(now_s))
    found = _VERSION.fullmatch(version)
    if found is None or not version.endswith(".0") or int(found[1]) > NEWEST:
        raise unknown_path(f"/{version}")
    if not _is_over(int(found[1]), now_s):
        return {}
    oldest = oldest_supported(now_s)
    if expired == "refuse":
        raise deprecated_version(version, oldest)
    return {
        "X-Ad-Api-Version-Warning": f"The call has been auto-upgraded to {oldest} as {version} "
        "has been deprecated"
    }


def _is_over(major: int, now_s: float) -> bool:
    end = _ENDS.get(major)
    return major < min(_ENDS) or (end is not None and end.timestamp() <= now_s)


def oldest_supported(now_s: float) -> str:
    """The oldest version that still answers."""
    return next(
        f"v{major}.0" for major in range(min(_ENDS), NEWEST + 1) if not _is_over(major, now_s)
    )
