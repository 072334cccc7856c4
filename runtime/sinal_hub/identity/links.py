"""What a link says of the ad it came from, also where people or programs have broken it.

Links of ads are pasted out of web pages (`&amp;`), get a second question mark from a share button,
a blank from a message, campaign words behind `#` from a router. No fbclid and no name of a campaign
parameter has these characters, so nothing is guessed. `tests/fixtures/links.json` holds the rules
as cases, for the page script as well.

- Pairs are separated by `&`, `&amp;` (also doubled), and before a name of an ad's parameter by `?`,
  `%26` and `%3F`.
- A link without `?` has its query from the first `&` before such a name on.
- Names are read without blanks around them, encoded or not; those of campaigns in any case. What
  made FBCLID of fbclid made another click of its value.
- The fragment is read after the query, for what the query does not say.
- Of several values the first that says something counts; of fbclids the last, which Meta appended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from sinal_hub.model import placeholders

MAX_FBCLID = 512
MAX_UTM = 500
UTM_FIELDS = {
    f"utm_{field}": field for field in ("source", "medium", "campaign", "content", "term")
}

# Unreserved characters of a URL and padding. No real fbclid has a dot, which would look like one
# more segment.
_FBCLID = re.compile(rf"[A-Za-z0-9._~=-]{{1,{MAX_FBCLID}}}")
_AFTER_FBCLID = " \t\r\n.,;:!?)]}>\"'*\u2026\u201d\u2019"  # what a message leaves behind a link
_NAMES = rf"(?:fbclid|{'|'.join(UTM_FIELDS)})"
_BLANKS = r"(?:\s|\+|%20)*"
_AD = re.compile(
    rf"(?:&|\?|%26|%3f)(?:amp(?:;|%3b))*(?={_BLANKS}{_NAMES}{_BLANKS}(?:=|%3d))", re.IGNORECASE
)
_SEPARATOR = re.compile(r"&(?:amp;)*", re.IGNORECASE)
# encoded separators, blanks around names
_ROUGH = re.compile(r"%(?:26|3[BDFbdf]|09|0[ADad]|20=)|(?:^|&)%20")
_MAY_BE_ROUGH = ("%26", "%3", "%0", "%20=", "&%20")


class Ad(NamedTuple):
    """What a link says of its ad."""

    fbclid: str | None
    utm: dict[str, str]  # by the fields of `Utm`


def ad_of(url: str) -> Ad:
    """The ad's click id and campaign parameters, as the rules above find them."""
    fbclid: str | None = None
    utm: dict[str, str] = {}
    head, _, fragment = url.partition("#")
    for text in (_query(head), fragment):
        last: str | None = None
        said = {}
        for name, value in _pairs(text):
            if name == "fbclid":
                last = fbclid_of_value(value) or last
            elif (
                (field := UTM_FIELDS.get(name.lower()))
                and field not in said
                and (told := utm_of_value(value))
            ):
                said[field] = told
        fbclid = fbclid or last
        utm = said | utm
    return Ad(fbclid, utm)


def is_whole(query: str) -> bool:
    """Whether a query has nothing of what breaks links: it may be taken apart at every `&`, and `?`
    is none.
    """
    if (
        "?" in query
        or "amp;" in query
        or " " in query
        or "+=" in query
        or "&+" in query
        or query[:1] == "+"
    ):
        return False
    if "%" not in query or not (query[0] == "%" or any(map(query.__contains__, _MAY_BE_ROUGH))):
        return True
    return _ROUGH.search(query) is None


def fbclid_of_value(value: str) -> str | None:
    """A query's value as an fbclid, percent-decoded once.

    None for a malformed one and for a placeholder.
    """
    text = unquote(value) if "%" in value else value
    if not _FBCLID.fullmatch(text) or text.endswith("."):
        text = text.replace("+", " ").strip().rstrip(_AFTER_FBCLID)
        if not _FBCLID.fullmatch(text):
            return None
    if len(text) > placeholders.LONGEST_WORD and text[0] not in "0fF" and "__" not in text:
        return text  # as `placeholders.is_no_id` would find, in these characters
    return None if placeholders.is_no_id(text) else text


def utm_of_value(value: str) -> str:
    """A query's value as a campaign parameter.

    Empty when nothing is left of it, or a placeholder.
    """
    return _remembered(value) if len(value) <= placeholders.REMEMBERED_LENGTH else _utm(value)


def _utm(value: str) -> str:
    text = unquote_plus(value) if "%" in value or "+" in value else value
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable())
    text = text.strip()[:MAX_UTM]
    return "" if placeholders.is_no_campaign(text) else text


_remembered = lru_cache(maxsize=4_096)(_utm)  # a campaign's words come with each of its visitors


def _query(head: str) -> str:
    """What stands behind the first `?`, or in a link without one behind the `&` before the first ad
    parameter.
    """
    _, mark, query = head.partition("?")
    if mark:
        return query
    found = _AD.search(head)
    return head[found.end() :] if found else ""


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and raw values; splitting by hand, since the standard parser raises for a bad host."""
    for piece in _AD.split("&" + text) if text else ():
        for pair in _SEPARATOR.split(piece):
            name, mark, value = pair.partition("=")
            if not mark and "%3d" in pair.lower():  # the whole query was encoded
                name, _, value = re.sub("%3d", "=", pair, count=1, flags=re.IGNORECASE).partition(
                    "="
                )
            if "%" in name or "+" in name:
                name = unquote_plus(name)
            yield name.strip().rpartition("?")[2], value
