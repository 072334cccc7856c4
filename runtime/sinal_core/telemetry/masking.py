"""A secret taken out of a text that somebody else wrote, before the text is kept or shown."""

from __future__ import annotations

import json
import re
from functools import lru_cache

PLACE = "[token]"  # what stands in its place


def without_secret(text: str, secret: str, *, limit: int) -> str:
    """At most `limit` characters of the text, in which the secret stands in no spelling of JSON or
    of URLs.

    What the text means is never asked of the result: a secret may be a word that the text needs.
    """
    if not secret:
        return text[:limit]
    longest = 6 * len(secret)  # as `\\uXXXX`: no part of it is left where the text is cut
    return _any_spelling(secret).sub(PLACE, text[: limit + longest])[:limit]


@lru_cache(maxsize=1_024)
def _any_spelling(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_spellings, secret)))


def _spellings(character: str) -> str:
    """As it is, escaped in JSON, as hexadecimal digits of JSON, or as bytes of a URL."""
    units = character.encode("utf-16-be", errors="surrogatepass")
    hexadecimal = "".join(rf"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    quoted = "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass"))
    escaped = re.escape(json.dumps(character)[1:-1])  # a line's end is a letter there
    return rf"(?:\\?{re.escape(character)}|{escaped}|(?i:{hexadecimal}|{quoted}))"
