"""A tracking event as its sender wrote it, checked and bounded; the fields are those of the tracking contract.

Types, lengths and times that are wrong are errors of the sender. A malformed `fbc`, `fbp` or `fbclid` is not: it
comes from a cookie or a link that anybody may have cut, so that field alone is dropped and named in the answer.
Personal data is hashed while it is read: a draft holds none in clear.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from sinal_runtime import identity
from sinal_runtime.events import Item, UserData, Utm
from sinal_runtime.ingest import peer, urls
from sinal_runtime.ingest.exchange import MAX_USER_AGENT, clean_user_agent
from sinal_runtime.ingest.fields import Fields

MAX_URL = 4_096
MAX_ITEMS = 100
MAX_FUTURE_MS = 5 * 60_000  # clocks of browsers
_ANY_MS = 1_700_000_000_000  # to ask whether an fbclid can stand in an fbc
MAX_AGE_MS = 7 * 86_400_000  # Meta takes nothing older

KNOWN = frozenset(
    [
        "type",
        "funnel",
        "event_id",
        "occurred_at",
        "click_id",
        "session_id",
        "external_id",
        "fbclid",
        "fbc",
        "fbp",
        "url",
        "referrer",
        "utm",
        "user",
        "value",
        "currency",
        "items",
        "order_id",
        "consent_ads",
        "client",
    ]
)
_UTM = frozenset(Utm.__struct_fields__)
_USER = frozenset(["email", "phone", "first_name", "last_name", "city", "state", "zip", "country"])
_ITEM = frozenset(Item.__struct_fields__)
_CLIENT = frozenset({"ip", "user_agent"})

_CLICK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CURRENCY = re.compile(r"[A-Za-z]{3}")

# An e-mail address, or what is 10 to 14 digits as it stands: a phone, a CPF or a CNPJ.
_MAY_TELL = re.compile(r"@|^[\s+(]*\d(?:[\s.\-/()]*\d){9,13}\s*$")


class Draft(msgspec.Struct, kw_only=True, frozen=True):
    """What the sender said, in our types; times are Unix ms."""

    event_id: str | None
    occurred_at: int | None
    click_id: str | None
    session_id: str | None
    external_id: str | None
    fbclid: str | None
    fbc: str | None
    fbp: str | None
    url: str | None
    referrer: str | None
    utm: Utm
    user: UserData
    value: str | None
    currency: str | None
    items: list[Item]
    order_id: str | None
    consent_ads: bool | None
    ip: str | None
    user_agent: str | None
    dropped: tuple[str, ...]
    unknown_fields: int


class _Click(NamedTuple):
    fbclid: str | None
    fbc: str | None
    fbp: str | None
    dropped: tuple[str, ...]


def read(fields: Fields, *, now_ms: int, country: str, believe_client: bool) -> Draft:
    """One event; errors go to the list of `fields`. `believe_client`: the sender proved to be a server."""
    url = fields.text("url", MAX_URL)
    utm, unknown_utm = _utm(fields, url)
    user, unknown_user = _user(fields, country)
    ip, user_agent, unknown_client = _client(fields)
    ids = _click(fields, url)
    referrer = fields.text("referrer", MAX_URL)
    return Draft(
        event_id=fields.text("event_id", 128),
        occurred_at=_occurred_at(fields, now_ms),
        click_id=fields.word("click_id", 36, _CLICK_ID, "1 to 36 letters, digits, - or _"),
        session_id=fields.word("session_id", 64, _SESSION_ID, "1 to 64 letters, digits, dots, - or _"),
        external_id=private_id(fields.text("external_id", 256, numbers=True)),
        fbclid=ids.fbclid,
        fbc=ids.fbc,
        fbp=ids.fbp,
        url=urls.scrub(url) if url else None,
        referrer=urls.scrub(referrer) if referrer else None,
        utm=utm,
        user=user,
        value=fields.amount("value"),
        currency=_upper(fields.word("currency", 3, _CURRENCY, "an ISO 4217 code such as BRL")),
        items=fields.sections("items", MAX_ITEMS, _item),
        order_id=fields.text("order_id", 128, numbers=True),
        consent_ads=fields.flag("consent_ads"),
        ip=ip if believe_client else None,
        user_agent=user_agent if believe_client else None,
        dropped=ids.dropped,
        unknown_fields=fields.unknown(KNOWN) + unknown_utm + unknown_user + unknown_client,
    )


def private_id(value: str | None) -> str | None:
    """An `external_id` as it may be stored: one that may be an e-mail, a document or a phone becomes its digest.

    Matching only compares it and Meta gets this very digest of every id, so an innocent number loses nothing.
    """
    if value is None or not _MAY_TELL.search(value):
        return value
    return identity.digest(value.strip().lower())


def _occurred_at(fields: Fields, now_ms: int) -> int | None:
    at = fields.instant("occurred_at")
    if at is None:
        return None
    if at > now_ms + MAX_FUTURE_MS:
        fields.fail("occurred_at", "lies more than 5 minutes in the future: check the sender's clock, or leave it out")
    elif at < now_ms - MAX_AGE_MS:
        fields.fail("occurred_at", "is older than 7 days: Meta takes no event of that age")
    return at


def _click(fields: Fields, url: str | None) -> _Click:
    fbclid, fbc, fbp = fields.text("fbclid", MAX_URL), fields.text("fbc", MAX_URL), fields.text("fbp", 256)
    dropped = []
    if fbclid is not None and identity.build_fbc(fbclid, _ANY_MS) is None:
        fbclid, dropped = None, ["fbclid"]
    if fbc is not None and identity.Fbc.parse(fbc) is None:
        fbc = None
        dropped.append("fbc")
    if fbp is not None and identity.Fbp.parse(fbp) is None:
        fbp = None
        dropped.append("fbp")
    return _Click(fbclid or (identity.fbclid_of_url(url) if url else None), fbc, fbp, tuple(dropped))


def _utm(fields: Fields, url: str | None) -> tuple[Utm, int]:
    of_url = identity.utm_of_url(url) if url else Utm()
    section = fields.section("utm")
    if section is None:
        return _clean_utm(of_url), 0
    given = {name: section.text(name, 512) or getattr(of_url, name) for name in Utm.__struct_fields__}
    return _clean_utm(Utm(**given)), section.unknown(_UTM)


def _clean_utm(utm: Utm) -> Utm:
    """Campaign parameters without those that a mailing filled with an address."""
    values = msgspec.structs.asdict(utm)
    clean = {name: value for name, value in values.items() if value and not urls.is_personal("", value)}
    return utm if len(clean) == len(values) else Utm(**clean)


def _user(fields: Fields, country: str) -> tuple[UserData, int]:
    section = fields.section("user")
    if section is None:
        return UserData(), 0
    phone = section.text("phone", 64, numbers=True)
    clear = identity.ClearUser(
        email=section.text("email", 320),
        phones=(phone,) if phone else (),
        first_name=section.text("first_name", 256),
        last_name=section.text("last_name", 256),
        city=section.text("city", 256),
        state=section.text("state", 128),
        zip=section.text("zip", 32, numbers=True),
        country=section.text("country", 64),
    )
    return identity.hash_user(clear, country=country), section.unknown(_USER)


def _client(fields: Fields) -> tuple[str | None, str | None, int]:
    section = fields.section("client")
    if section is None:
        return None, None, 0
    ip = section.text("ip", 64)
    parsed = peer.parse(ip) if ip else None
    if ip and parsed is None:
        section.fail("ip", "must be an IPv4 or IPv6 address")
    return parsed, clean_user_agent(section.text("user_agent", 4 * MAX_USER_AGENT)), section.unknown(_CLIENT)


def _item(fields: Fields) -> Item:
    item_id = fields.text("id", 128, numbers=True)
    if item_id is None:
        fields.fail("id", "is required")
    quantity = fields.whole("quantity", default=1, low=1, high=1_000_000)
    return Item(id=item_id or "", quantity=quantity, price=fields.amount("price"))


def _upper(text: str | None) -> str | None:
    return text.upper() if text else None
