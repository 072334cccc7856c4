"""Moments of deliveries as UTC: epoch seconds or milliseconds, RFC 3339, local times without a zone
or day first.

Kiwify, Perfect Pay, Appmax and Braip write local time without saying where. It is
America/Sao_Paulo, with the daylight saving time that was in force until 2019. Years outside
2000-2100 are no moments but placeholders.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

_SAO_PAULO = ZoneInfo("America/Sao_Paulo")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLIS_FROM = 100_000_000_000  # as seconds that would be the year 5138
_SHORTEST = len("2025-05-02")
# as Brazil writes it
_DAY_FIRST = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?:,?[ T]+(\d{2}:\d{2}(?::\d{2})?))?", re.ASCII)
_NAMED_UTC = re.compile(r"\s+(?:UTC|GMT|Z)$")


def instant(value: object) -> datetime | None:
    """The moment a field names; None for a missing or unreadable one."""
    if isinstance(value, str):
        value = value.strip()
        if not (value.isascii() and value.isdigit() and len(value) < 18):
            return _of_text(value)
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return _of_number(value)


def first(*values: object) -> datetime | None:
    """The first field that names a moment."""
    return next((moment for value in values if (moment := instant(value)) is not None), None)


def latest(*values: object) -> datetime | None:
    """The latest of the fields that name a moment."""
    return max((moment for value in values if (moment := instant(value)) is not None), default=None)


def rfc3339(moment: datetime) -> str:
    """UTC with Z, whole seconds: Meta's event_time knows no fractions."""
    # strftime looks for a zone
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _of_number(value: int | Decimal) -> datetime | None:
    try:
        seconds = value / 1000 if value >= _MILLIS_FROM else value
        return _sane(_EPOCH + timedelta(seconds=float(seconds)))
    except (OverflowError, ValueError, ArithmeticError):
        return None


def _of_text(value: str) -> datetime | None:
    if len(value) < _SHORTEST or not value.isascii():
        return None
    if found := _DAY_FIRST.fullmatch(value):
        value = f"{found[3]}-{found[2]}-{found[1]} {found[4] or '00:00'}"
    elif value.endswith(("UTC", "GMT", " Z")):
        value = _NAMED_UTC.sub("+00:00", value)
    try:
        moment = datetime.fromisoformat(value)
        return _sane(moment if moment.tzinfo else moment.replace(tzinfo=_SAO_PAULO))
    except (OverflowError, ValueError):
        return None


def _sane(moment: datetime) -> datetime | None:
    return moment.astimezone(UTC) if 2000 <= moment.year <= 2100 else None
