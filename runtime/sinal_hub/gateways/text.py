"""Texts as their writers meant them: in whichever encoding, encoded twice, or escaped for a web
page.

Older senders write forms and XML in Windows-1252, systems in between read UTF-8 as Latin-1, save
names as HTML, and encode a form that is encoded. Each of that can be told from its result and
undone without a guess; what can't be undone keeps U+FFFD, and whoever hashes leaves it out. A text
in plain ASCII without `&` and `%` is looked at once.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from html.entities import html5
from urllib.parse import parse_qsl, unquote, unquote_plus, urlencode

UNREADABLE = "\ufffd"

_CP1252 = {
    byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0xA0)
}  # five of them have no character there
_WIDE = "".join(char for char in _CP1252.values() if char != UNREADABLE)
_FOLLOWER = rf"[\x80-\xbf{re.escape(_WIDE)}]"
_QUOTES = "‘’“”–—…™«»®"  # which may well stand behind a word that ends in a capital: «AMANHÃ»
# UTF-8 that was read as Latin-1 or Windows-1252, of Latin letters, punctuation and emoji: a lead
# byte's character and as many followers as it asks for. No word has an accented capital before a
# sign such as these, but for the quotes.
_MOJIBAKE = re.compile(
    rf"[\xc2-\xc5](?:(?![{_QUOTES}]){_FOLLOWER}|[{_QUOTES}](?=\w))"
    rf"|\xe2[\x80\x82\x84€‚„]{_FOLLOWER}|\xef[\xbb]\xbf|\xf0[\x9fŸ]{_FOLLOWER}{{2}}"
)
_BYTE_OF = {char: byte for byte, char in _CP1252.items() if char != UNREADABLE}
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPED = re.compile(r"[\w.~*+%-]*%[0-9A-Fa-f]{2}[\w.~*+%-]*", re.ASCII)
_TIMES = 3  # mistakes that are made once are made again, by the next system on the way
_INVISIBLE = {0xFEFF: None, 0x200B: None, 0x2060: None}  # byte order mark, and spaces without width
_UTF8 = frozenset({"utf-8", "ascii"})
# What no sender writes by accident. Others are codecs of Python's that are not encodings of text,
# or can bite.
_CHARSETS = re.compile(r"utf-?(8|16|32)([_-]?[lb]e)?|us-ascii|ascii|latin-?[1-9]|l1|(iso[-_ "
r"]?)?8859[-_]\d{1,2}|"
                       r"iso[-_]?8859[-_]\d{1,2}|(windows|cp)[-_]?125[0-8]|cp(437|850|858|860)|ibm(437|850|858|860)|"
                       r"mac(intosh|roman)|x-mac-roman", re.IGNORECASE | re.ASCII)  # fmt: skip


def decode(raw: bytes) -> str:
    """Bytes in UTF-8, and in Windows-1252 where they are no UTF-8; never raises."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _one_byte(raw)


def in_utf8(raw: bytes) -> bytes:
    """A document in UTF-8, without its byte order mark: of UTF-16 and UTF-32 by mark or zeros, else
    as `decode`.
    """
    if raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
    if b"\0" in raw[:4] or raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _wide(raw)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _one_byte(raw).encode()
    return raw


def fields_of(query: str, *, keep_blank: bool, most: int) -> list[tuple[str, str]]:
    """Names and values of a form or query, each field in its own encoding.

    Raises ValueError above `most` fields.
    """
    pairs = parse_qsl(
        query, keep_blank_values=keep_blank, max_num_fields=most, errors="surrogateescape"
    )
    return [(_settled(name), _settled(value)) for name, value in pairs]


def transcoded(raw: bytes, content_type: str) -> bytes:
    """A body whose Content-Type names another charset than UTF-8, in UTF-8.

    As it is where that is not so of it.

    Senders name charsets that they don't use: what is valid UTF-8 and not ASCII is UTF-8, whatever
    they say.
    """
    charset = _charset(content_type) if "=" in content_type else None
    if charset is None or charset in _UTF8:
        return raw
    if raw.isascii() and b"%" in raw and raw.lstrip()[:1] not in (b"{", b"[", b"<"):
        return _form_transcoded(raw, charset)
    try:
        if not charset.startswith(("utf-16", "utf-32")):
            raw.decode()
            return raw
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode(charset).encode()
    except (UnicodeError, LookupError):
        return raw


def mended(text: str) -> str:
    """A text without entities of HTML, percent signs of a second encoding, and UTF-8 read as
    Latin-1.
    """
    if text.isascii() and "&" not in text and "%" not in text:
        return text
    for _ in range(_TIMES):
        before = text
        if "&" in text:
            text = _ENTITY.sub(_character, text)
        if "%" in text and _ESCAPED.fullmatch(text):
            text = _unescaped(text)
        if not text.isascii():
            text = _MOJIBAKE.sub(_as_utf8, text)
        if text == before:
            break
    return text if text.isascii() else text.translate(_INVISIBLE)


def _settled(text: str) -> str:
    """A field without the surrogates that stand for bytes which are no UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return decode(text.encode("utf-8", "surrogateescape"))
    return text


def _one_byte(raw: bytes) -> str:
    """Windows-1252; its five empty places are nothing that anybody wrote."""
    return raw.decode("cp1252", "replace")


def _wide(raw: bytes) -> bytes:
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if raw.startswith(mark):
            return _recoded(raw, name)
    head = raw[:4]
    zeros = tuple(byte == 0 for byte in head)
    names = {
        (False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be",
    }  # fmt: skip
    return _recoded(raw, names[zeros]) if zeros in names else raw


def _recoded(raw: bytes, name: str) -> bytes:
    try:
        return raw.decode(name).encode()
    except UnicodeError:
        return raw


@lru_cache(maxsize=128)  # senders have few, and send them with every request
def _charset(content_type: str) -> str | None:
    """The charset that a Content-Type names, in Python's spelling.

    None for none and for what is none of text.
    """
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        word = value.strip().strip("\"'")
        if name.strip().lower() == "charset" and _CHARSETS.fullmatch(word):
            try:
                return codecs.lookup(word).name
            except LookupError:
                return None
    return None


def _form_transcoded(raw: bytes, charset: str) -> bytes:
    try:
        whole = unquote(raw.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        whole = None
    if whole is not None:  # the percent signs stand for UTF-8
        return raw
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, encoding=charset, errors="strict"
        )
    except (UnicodeError, LookupError, ValueError):
        return raw
    return urlencode(pairs).encode()


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        return html5.get(name + ";", found[0])
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    if 0x80 <= code < 0xA0:  # as browsers read them
        return _CP1252[code]
    return chr(code) if 0x20 <= code < 0xD800 or 0xE000 <= code < 0x110000 else UNREADABLE


def _unescaped(text: str) -> str:
    """A text that is percent-encoded as a whole, as often as it is.

    An address keeps its plus sign.
    """
    for _ in range(_TIMES):
        found = unquote(text, errors="surrogateescape")
        text = _settled(found if "@" in found else unquote_plus(text, errors="surrogateescape"))
        if not _PERCENT.search(text) or "://" in text:
            break
    return text


def _as_utf8(found: re.Match[str]) -> str:
    raw = bytes(_BYTE_OF.get(char) or ord(char) for char in found[0])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return found[0]
