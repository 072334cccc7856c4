"""Identifiers that the edge gives: row keys, click ids, session ids.

Click ids travel through checkout links and come back from gateways, so they are 22 letters and
digits: every gateway keeps those, and none keeps more than 36 characters for sure. For an event
with a key of its own they are derived from it: a repeated delivery gets the same answer.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode

_SHORT_LENGTH = 22  # of base64 hold 128 bits
# costs a tenth of a bit a character, keeps to letters and digits
_LETTERS = bytes.maketrans(b"+/", b"aZ")
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
MAX_KEY = 200  # characters of a Nats-Msg-Id


class _Random:
    """The system's random bytes, fetched many at a time: a call of the kernel for each id would
    cost more than it.
    """

    SIZE = 4_096

    def __init__(self) -> None:
        self._bytes, self._at = b"", 0
        os.register_at_fork(after_in_child=self.forget)  # two processes must not give the same ids

    def forget(self) -> None:
        """Begin anew."""
        self._bytes = b""

    def take(self, count: int) -> bytes:
        """So many bytes that nobody else gets."""
        at, end = self._at, self._at + count
        if end > len(self._bytes):
            self._bytes, at, end = os.urandom(self.SIZE), 0, count
        self._at = end
        return self._bytes[at:end]


_random = _Random()


def uuid7(now_ms: int) -> str:
    """A time-ordered UUID (RFC 9562, version 7)."""
    time, rest = f"{now_ms & 0xFFFFFFFFFFFF:012x}", _random.take(10).hex()
    return f"{time[:8]}-{time[8:]}-7{rest[:3]}-{_VARIANT[rest[3]]}{rest[4:7]}-{rest[7:19]}"


def moment_ms(uuid: str) -> int:
    """When a time-ordered UUID was made, in Unix milliseconds."""
    return int(uuid.replace("-", "")[:12], 16)


def short_id() -> str:
    """22 random letters and digits, more than 120 bits."""
    return _short(_random.take(16))


def derived_id(purpose: str, row_id: str) -> str:
    """22 letters and digits that are always the same for this row and purpose."""
    digest = hashlib.sha256(f"{purpose}|{row_id}".encode()).digest()
    return _short(digest[:16])


def header_safe(key: str) -> str:
    """A key as a NATS header may carry it: printable ASCII without spaces, else its digest after
    the same word.
    """
    if len(key) <= MAX_KEY and key.isascii() and key.isprintable() and " " not in key:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    word = key.partition(":")[0]
    return (
        f"{word}:sha256:{digest}"
        if word.isascii() and word.isalnum() and len(word) <= 64
        else f"sha256:{digest}"
    )


def _short(number: bytes) -> str:
    return b64encode(number)[:_SHORT_LENGTH].translate(_LETTERS).decode()
