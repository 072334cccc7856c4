"""Reading a request's body: bounded while it streams, inflated within a bound, never for longer
than a deadline.
"""

from __future__ import annotations

import asyncio
import zlib
from decimal import Decimal

import msgspec

from sinal_core.http.exchange import Request
from sinal_core.http.problem import FieldError, Problem, invalid, too_large, too_slow

_GZIP = 16 + zlib.MAX_WBITS
# Decimal keeps prices as they were written; the default float would not.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_JSON_TYPES = frozenset({"", "application/json", "text/plain", "text/json"})


class SenderGone(Exception):
    """The connection ended before the body did; there is nobody to answer."""


async def read(request: Request, *, limit: int, deadline_s: float) -> bytes:
    """The raw body; raises Problem 413 above `limit` bytes and 408 after `deadline_s`."""
    declared = request.headers.get("content-length", "")
    # Only to refuse early: a sender that declares too little is stopped by the count. Longer
    # numbers are not read, since Python's int() raises for thousands of digits.
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limit:
        raise too_large(limit)
    if (whole := request.whole_body) is not None:
        if len(whole) > limit:
            raise too_large(limit)
        return whole
    try:
        async with asyncio.timeout(deadline_s):
            return await _collect(request, limit)
    except TimeoutError:
        raise too_slow(deadline_s) from None


async def _collect(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise SenderGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def inflate(raw: bytes, *, encoding: str, limit: int) -> bytes:
    """Undo Content-Encoding gzip or identity.

    Raises Problem 413 above `limit`, 400 for broken gzip, 415 otherwise.
    """
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Problem(
            415,
            "Content-Encoding must be gzip or absent.",
            headers=[(b"accept-encoding", b"gzip, identity")],
        )
    stream = zlib.decompressobj(_GZIP)
    try:
        # one byte beyond the limit tells too much from just enough; a bomb is inflated no further
        data = stream.decompress(raw, limit + 1)
    except zlib.error:
        raise invalid([FieldError("(body)", "is not valid gzip")]) from None
    if len(data) > limit:
        raise too_large(limit)
    # RFC 1952 (2.2) lets a file have several members; what stands in a second one would be dropped
    # unseen.
    if not stream.eof or stream.unused_data:
        raise invalid([FieldError("(body)", "is not one complete gzip member")])
    return data


def json_object(raw: bytes) -> dict[str, object]:
    """The body as a JSON object; raises Problem 400 for anything else, however deep or broken."""
    try:
        value = _decode(raw)
    # ArithmeticError: an exponent that Decimal cannot hold
    except (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError):
        raise invalid([FieldError("(body)", "is not valid JSON in UTF-8")]) from None
    if not isinstance(value, dict):
        raise invalid([FieldError("(body)", "must be a JSON object")])
    return value


def check_media_type(request: Request) -> None:
    """Only JSON and text/plain (what sendBeacon sends without a preflight); raises Problem 415.

    Who shows a key may name any type (`curl -d` says form): a browser sends Authorization only
    after a preflight, which does not permit it, so no page of a stranger gets here with a form.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES and "authorization" not in request.headers:
        raise Problem(415, "Content-Type must be application/json or text/plain, with a JSON body.")
