"""What proves a delivery: secrets of the integration compared in constant time, header names in any
case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping


def secrets_of(secret: Mapping[str, str], key: str, *, separators: str = r"[\r\n]+") -> list[bytes]:
    """The secrets of a key, several of them while one is being replaced.

    Empty ones prove nothing and are left out.
    """
    found = secret.get(key) or ""
    return [
        part.encode("utf-8", "surrogatepass")
        for part in map(str.strip, re.split(separators, found))
        if part
    ]


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by its lower-case name, also where the caller kept the sender's spelling."""
    if name in headers:
        return headers[name]
    return next((value for key, value in headers.items() if key.lower() == name), None)


def is_one_of(given: str | None, secrets: list[bytes]) -> bool:
    """Whether the given text is one of the secrets.

    The time taken tells nothing but their number.
    """
    if not given:
        return False
    # as digests all are of one length: compare_digest tells by its time where lengths differ
    digest = hashlib.sha256(given.strip().encode("utf-8", "surrogatepass")).digest()
    # a list and not a generator: `any` would end at the secret that matches, and tell which it is
    matches = [hmac.compare_digest(digest, hashlib.sha256(secret).digest()) for secret in secrets]
    return any(matches)


def same_hex(given: str, expected: str) -> bool:
    """Whether two hexadecimal digests are the same, in constant time."""
    return hmac.compare_digest(given.lower().encode("utf-8", "surrogatepass"), expected.encode())


def signed_hex(given: str | None, message: bytes, secrets: list[bytes]) -> bool:
    """Whether the given text is the hexadecimal HMAC-SHA256 of the message under one of the
    secrets.
    """
    # also without a signature: what has none takes as long as what has a wrong one
    digests = [hmac.new(secret, message, hashlib.sha256).hexdigest() for secret in secrets]
    return bool(given) and any([same_hex((given or "").strip(), digest) for digest in digests])


def signed_base64(given: str | None, message: bytes, secrets: list[bytes]) -> bool:
    """Whether the given text is the base64 HMAC-SHA256 of the message under one of the secrets."""
    text = (given or "").strip().encode("utf-8", "surrogatepass")
    digests = [
        base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()) for secret in secrets
    ]
    return bool(text) and any([hmac.compare_digest(text, digest) for digest in digests])
