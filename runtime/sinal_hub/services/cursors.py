"""Where a list goes on: after which row, as text that only the list that gave it understands."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from sinal_hub.services.errors import Invalid


def cursor_of(at: datetime, key: str) -> str:
    """A cursor behind which a list goes on."""
    return urlsafe_b64encode(f"{at.isoformat()} {key}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """What a cursor says; raises Invalid for one that no list gave."""
    try:
        text, _, key = urlsafe_b64decode(cursor.encode()).decode().rpartition(" ")
        at = datetime.fromisoformat(text)
    except ValueError:
        raise bad_cursor() from None
    # PostgreSQL refuses a NUL in text: the caller's fault would look like one of the store.
    if at.tzinfo is None or not key or "\x00" in key:
        raise bad_cursor()
    return at, key


def bad_cursor() -> Invalid:
    """The error of a cursor that no list gave."""
    return Invalid("cursor: not one that this API gave; start again without it")
