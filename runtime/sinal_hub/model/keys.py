"""Keys of events: the same for a repeated delivery, different for a different fact.

Most gateways have no event id, and where one exists it is not known to survive a retry; so the key
is made of the order, the normalised status and, where one status may happen twice, what tells the
two apart. Keys travel in message headers and logs: they hold no personal data, and what is not a
plain identifier is replaced by its digest.
"""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)


def event_key(gateway: str, *parts: str | None) -> str:
    """`<gateway>:<part>:…` of the parts that are there."""
    return ":".join([gateway, *(_plain(part) for part in parts if part)])


def fingerprint(*parts: object) -> str:
    """32 hex digits of whatever tells one fact from another, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "backslashreplace"))
        # between the parts: 1 and 23 would be 12 and 3 otherwise
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def body_fingerprint(raw: bytes) -> str:
    """32 hex digits of a body, for deliveries that name nothing."""
    return hashlib.sha256(raw).hexdigest()[:32]


def _plain(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else fingerprint(part)
