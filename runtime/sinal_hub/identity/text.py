"""Text as people, forms and spreadsheets leave it, cleaned before any field's own rule.

Every rule starts from `tidy` text, so that a byte-order mark, a zero-width space or a decomposed
accent never changes a hash.
"""

from __future__ import annotations

import re
import unicodedata

_DROPPED = {"Cc", "Cf", "Cs"}  # control, format (BOM, zero-width, bidi marks), lone surrogates
_SPACES = re.compile(r"\s+")
_NO_KEY = re.compile(r"[^a-z0-9]+")
_NO_DIGIT = re.compile(r"[^0-9]+")


def tidy(text: str) -> str:
    """Trimmed text in NFC, without invisible characters.

    Runs of any white space become one space.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _DROPPED)
        text = unicodedata.normalize("NFC", text)
    elif "  " not in text:  # nearly always
        return text.strip()
    return _SPACES.sub(" ", text).strip()


def plain(text: str) -> str:
    """Compatibility forms (full-width letters and digits) as ordinary ones, lower case: for codes,
    not for names.
    """
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def fold(text: str) -> str:
    """Look-up key: lower case a-z and 0-9 only, accents dropped."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    return _NO_KEY.sub("", text.lower())


def digits(text: str) -> str:
    """Decimal digits of any script, as ASCII."""
    if text.isascii():
        return text if text.isdigit() else _NO_DIGIT.sub("", text)
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


def words(text: str, *, numbers: bool) -> str:
    """Lower-case letters with their accents, in words one space apart.

    Punctuation and symbols vanish.

    Without a letter nothing remains: a dash, a number or an emoji in a name field is not a name.
    """
    if is_plain(text):
        return " ".join(text.lower().split())
    kept = "".join(c for c in text.lower() if c.isspace() or _belongs(c, numbers=numbers))
    if not any(c.isalpha() for c in kept):
        return ""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", kept).strip())


def is_plain(text: str) -> bool:
    """Whether a text is words of ASCII letters, as nearly every name is.

    There is nothing to clean in such.
    """
    return text.isascii() and text.replace(" ", "").isalpha()


def _belongs(char: str, *, numbers: bool) -> bool:
    if char.isalpha():
        return not "\u02b9" <= char <= "\u02d1"  # apostrophes that Unicode calls letters
    if char.isascii():
        return numbers and char.isdigit()
    # Variation selectors are marks too, but they only pick a glyph.
    if unicodedata.category(char)[0] == "M":
        return not ("\ufe00" <= char <= "\ufe0f" or char >= "\U000e0100")
    return numbers and char.isdecimal()
