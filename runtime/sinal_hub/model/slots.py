"""Our click id inside a slot of a checkout that people and programs wrote into: quoted, escaped or
in a bundle.

A slot is free text. The page script's own ids are 22 letters and digits, which nothing else in a
slot is.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

LONGEST = 400  # characters of a slot that are looked into
_FORM = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_OURS = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{22}(?![A-Za-z0-9])", re.ASCII)
_BETWEEN = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
_TOKENS = 4  # of a slot that are looked up


def ours_in(text: str) -> str | None:
    """The one id of the page script's form in a slot (`A|<id>`, `"<id>"`, `%7B<id>%7D`).

    None for none or several.
    """
    found = set(_OURS.findall(unquote(text[:LONGEST])))
    return found.pop() if len(found) == 1 else None


def ids_in(text: str | None, *, least: int) -> list[str]:
    """What of a slot may be an id: the whole, else the page script's in it, else its tokens of
    `least` characters.
    """
    if not text:
        return []
    plain = unquote(text[:LONGEST]).strip().strip("\"'`{}[]()<>").strip()
    if _FORM.fullmatch(plain):
        return [plain]
    if (ours := ours_in(plain)) is not None:
        return [ours]
    return [token for token in _BETWEEN.split(plain) if least <= len(token) <= 36][:_TOKENS]
