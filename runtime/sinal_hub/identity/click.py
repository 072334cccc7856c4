"""Meta's click and browser ids (`fbc`, `fbp`) and what an ad's URL carries.

`fbc` is `fb.<subdomain index>.<creation ms>.<fbclid>`, `fbp` ends in a random number; both may have
a fifth segment that Meta's own library adds. An id that came from outside is kept to the letter or
dropped: a changed one no longer means the click, a malformed one makes Meta refuse the event
(2804001), and one that a program made of nothing (`fb.1.1747000000000.undefined`) is everybody's.
The fbclid is opaque and case-sensitive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from sinal_hub.identity import links
from sinal_hub.identity.links import MAX_FBCLID
from sinal_hub.model import placeholders
from sinal_hub.model.events import Utm

FBC_MAX_AGE_MS = 90 * 86_400_000  # Meta's cookie lives 90 days, and it takes no older click
CLOCK_SKEW_MS = 60_000  # a browser's clock may be ahead of ours by that much

_SEGMENT = re.compile(rf"[A-Za-z0-9_~=-]{{1,{MAX_FBCLID}}}")
_FBC = re.compile(
    rf"fb\.(\d{{1,2}})\.(\d{{13}})\.({_SEGMENT.pattern})(?:\.({_SEGMENT.pattern}))?", re.ASCII
)
_FBP = re.compile(r"fb\.(\d{1,2})\.(\d{13})\.(\d{1,20})(?:\.([A-Za-z0-9_-]{1,16}))?", re.ASCII)
# the library's language token, or its six bytes
_APPENDIX = re.compile(r"AQ|Ag|Aw|BA|BQ|Bg|[A-Za-z0-9_-]{8}")


@dataclass(frozen=True, slots=True)
class Fbc:
    """A well-formed click id; `raw` is what to send."""

    raw: str
    subdomain_index: int
    created_ms: int
    fbclid: str
    appendix: str | None

    @classmethod
    def parse(cls, text: str) -> Fbc | None:
        """The parts of an `fbc` of four or five segments; None for a malformed one."""
        found = _FBC.fullmatch(text)
        if found is None:
            return None
        fbclid, last = found[3], found[4]
        if last is not None and not _APPENDIX.fullmatch(last):  # then the dot was the fbclid's own
            fbclid, last = f"{fbclid}.{last}", None
        if _is_placeholder(fbclid):
            return None
        return cls(text, int(found[1]), int(found[2]), fbclid, last)


@dataclass(frozen=True, slots=True)
class Fbp:
    """A well-formed browser id; `raw` is what to send."""

    raw: str
    subdomain_index: int
    created_ms: int
    random: int
    appendix: str | None

    @classmethod
    def parse(cls, text: str) -> Fbp | None:
        """The parts of an `fbp` of four or five segments; None for a malformed one."""
        found = _FBP.fullmatch(text)
        if found is None or placeholders.is_no_code(found[3]):
            return None
        return cls(text, int(found[1]), int(found[2]), int(found[3]), found[4])


def build_fbc(fbclid: str, observed_ms: int, subdomain_index: int = 1) -> str | None:
    """An `fbc` of a URL's fbclid and when it was first seen (Unix ms, not the conversion).

    None for a malformed fbclid.

    `subdomain_index` is 1 where the server makes it without a cookie (Meta, "fbp and fbc"). What is
    built always has the four documented segments, so a dot in the fbclid is malformed here.
    """
    if not (
        0 <= subdomain_index <= 99 and 10**12 <= observed_ms < 10**13 and _SEGMENT.fullmatch(fbclid)
    ):
        return None
    if _is_placeholder(fbclid):
        return None
    return f"fb.{subdomain_index}.{observed_ms}.{fbclid}"


def is_fbc(text: str) -> bool:
    """Whether it is well-formed, for who does not need its parts."""
    found = _FBC.fullmatch(text)
    return found is not None and not _is_placeholder(found[3])


def is_fbp(text: str) -> bool:
    """Whether it is well-formed, for who does not need its parts."""
    found = _FBP.fullmatch(text)
    return found is not None and not placeholders.is_no_code(found[3])


def fbclid_of_fbc(fbc: str) -> str | None:
    """The fbclid inside, without the library's fifth segment but with a dot of its own.

    None for a malformed fbc.
    """
    parsed = Fbc.parse(fbc)
    return parsed.fbclid if parsed else None


def usable_fbc(fbc: str | None, now_ms: int) -> str | None:
    """The fbc to the letter, or None where it is malformed, older than 90 days or from the future
    (Unix ms).
    """
    parsed = Fbc.parse(fbc) if fbc else None
    if parsed is None or not -CLOCK_SKEW_MS <= now_ms - parsed.created_ms <= FBC_MAX_AGE_MS:
        return None
    return parsed.raw


def new_fbp(now_ms: int, rng: Random) -> str:
    """A browser id for a visitor without one (Unix ms)."""
    return f"fb.1.{now_ms}.{rng.randrange(2**31)}"


def fbclid_of_url(url: str) -> str | None:
    """The last well-formed `fbclid` of a link, percent-decoded once; None without one."""
    return links.ad_of(url).fbclid


def utm_of_url(url: str) -> Utm:
    """Campaign parameters of a link, decoded once, cut at 500 characters.

    Of several the first that says something.
    """
    return Utm(**links.ad_of(url).utm)


def _is_placeholder(segment: str) -> bool:
    """Whether the part of an id that tells one visitor from another is a word for nothing or a
    row.
    """
    if len(segment) > placeholders.LONGEST_WORD and segment[0] not in "0fF" and "__" not in segment:
        # nothing else of what is longer than a word is one, in the characters of a segment
        return False
    return placeholders.is_no_id(segment)
