"""A tracking event as its sender wrote it, checked and bounded.

The fields are those of the tracking contract.

A field that cannot be used is left out and named in the answer, with the way out; the event counts.
So is a malformed `fbc`, `fbp` or `fbclid`, which comes from a cookie or a link that anybody may
have cut. Only a time that Meta would not take, or that a server wrote in no form that is known,
refuses the event. Personal data is hashed while it is read: a draft holds none in clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from sinal_core.http import client_ip
from sinal_core.http.exchange import MAX_USER_AGENT, clean_user_agent
from sinal_core.telemetry import personal
from sinal_hub import identity
from sinal_hub.intake import urls
from sinal_hub.intake.fields import Fields
from sinal_hub.model import placeholders
from sinal_hub.model.events import NO_USER, NO_UTM, TRACKING_KINDS, Item, Kind, UserData, Utm

MAX_URL = 4_096
MAX_LONG_URL = 4 * MAX_URL  # what is read of its ad all the same
MAX_ITEMS = 100
MAX_FUTURE_MS = 5 * 60_000  # clocks of browsers
_ANY_MS = 1_700_000_000_000  # to ask whether an fbclid can stand in an fbc
MAX_AGE_MS = 7 * 86_400_000  # Meta takes nothing older

KINDS: Mapping[str, Kind] = {kind: kind for kind in TRACKING_KINDS}
KNOWN = frozenset(
    [
        "type",
        "funnel",
        "event_id",
        "occurred_at",
        "sent_at",
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

# An e-mail address, or what is 10 to 14 digits as it stands: a phone, a CPF or a CNPJ.
_MAY_TELL = re.compile(r"@|^[\s+(]*\d(?:[\s.\-/()]*\d){9,13}\s*$")


class Draft(msgspec.Struct, gc=False):
    """What the sender said, in our types, as fields of an `Event`; times are Unix ms.

    What was not given has the event's own default.
    """

    occurred_at: int | None = None
    event_id: str | None = None
    click_id: str | None = None
    session_id: str | None = None
    external_id: str | None = None
    fbclid: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    url: str | None = None
    referrer: str | None = None
    utm: Utm = NO_UTM
    user: UserData = NO_USER
    ip: str | None = None
    user_agent: str | None = None
    consent_ads: bool | None = None
    value: str | None = None
    currency: str | None = None
    items: list[Item] | None = None
    order_id: str | None = None
    dropped: tuple[str, ...] = ()  # malformed ids that were left out
    unknown_fields: int = 0


# Fields that depend on no other.
_PLAIN: dict[str, Callable[[Fields], object]] = {
    "event_id": lambda fields: fields.identifier(
        "event_id", 128, numbers=True, nothing=placeholders.is_no_key
    ),
    "click_id": lambda fields: fields.word(
        "click_id", 36, _CLICK_ID, "1 to 36 letters, digits, - or _"
    ),
    "session_id": lambda fields: fields.word(
        "session_id", 64, _SESSION_ID, "1 to 64 letters, digits, dots, - or _"
    ),
    "external_id": lambda fields: private_id(fields.identifier("external_id", 256, numbers=True)),
    "currency": lambda fields: fields.currency("currency"),
    "items": lambda fields: fields.sections("items", MAX_ITEMS, _item),
    "order_id": lambda fields: fields.identifier("order_id", 128, numbers=True),
    "consent_ads": lambda fields: fields.flag("consent_ads"),
}


def read(fields: Fields, *, now_ms: int, country: str, believe_client: bool) -> Draft:
    """One event; errors go to the list of `fields`.

    `believe_client`: the sender proved to be a server.
    """
    draft = Draft()
    unknown = fields.unknown(KNOWN) + _page(fields, draft)
    if "user" in fields:
        unknown += _user(fields, draft, country)
    if "client" in fields:
        # a browser's own word for its address counts for nothing, but is read: what is wrong in it
        # is named all the same
        unknown += _client(fields, draft if believe_client else Draft())
    draft.dropped = _click(fields, draft)
    if "occurred_at" in fields:
        draft.occurred_at = _occurred_at(fields, now_ms, believe_client)
    if "value" in fields:
        # before the fields that stand alone: a `currency` that is told counts more than a sign in
        # the amount
        draft.value, draft.currency = fields.amount("value")
    for name in fields:
        if (reader := _PLAIN.get(name)) is not None and (value := reader(fields)) is not None:
            setattr(draft, name, value)
    draft.unknown_fields = unknown
    return draft


def private_id(value: str | None) -> str | None:
    """An `external_id` as it may be stored: one that may be an e-mail, a document or a phone
    becomes its digest.

    Matching only compares it and Meta gets this very digest of every id, so an innocent number
    loses nothing.
    """
    if value is None or not _MAY_TELL.search(value):
        return value
    return identity.digest(value.strip().lower())


def _occurred_at(fields: Fields, now_ms: int, of_server: bool) -> int | None:
    """When it happened.

    A page's clock may be wrong and its event is young, a server may tell of last week.
    """
    at = fields.instant("occurred_at", or_refuse=of_server)
    if at is None:
        return None
    if "sent_at" in fields and (sent := fields.instant("sent_at")) is not None:
        # both by one clock, which may be wrong: its differences are not
        at = now_ms - max(0, sent - at)
    if at > now_ms + MAX_FUTURE_MS:
        told = (
            "lies more than 5 minutes in the future: check the sender's clock; the event "
            "counts "
            "as of now"
        )
        fields.fail("occurred_at", told)
        return None
    if at < now_ms - MAX_AGE_MS:
        fields.refuse("occurred_at", "is older than 7 days: Meta takes no event of that age")
    return at


def _page(fields: Fields, draft: Draft) -> int:
    """Where the visitor is and what led there; returns how many fields nobody reads."""
    utm: dict[str, str] = {}
    if url := fields.text("url", MAX_LONG_URL):
        page, draft.fbclid, utm = urls.read(url)
        if len(page) > MAX_URL:
            fields.fail("url", f"is longer than {MAX_URL} characters: it is kept without its query")
            page = page.partition("?")[0][:MAX_URL]
        draft.url = page
    if referrer := fields.text("referrer", MAX_URL):
        draft.referrer = urls.scrub(referrer)
    unknown = 0
    if (section := fields.section("utm")) is not None:
        said_apart = {
            name: placeholders.campaign_or_none(section.text(name, 512, numbers=True))
            for name in Utm.__struct_fields__
        }
        utm |= {name: text for name, text in said_apart.items() if text}
        unknown = section.unknown(_UTM)
    if utm:  # without what a mailing filled with an address
        draft.utm = Utm(**{name: text for name, text in utm.items() if not personal.tells(text)})
    return unknown


def _click(fields: Fields, draft: Draft) -> tuple[str, ...]:
    """Meta's ids; a malformed one is left out and named."""
    dropped: list[str] = []
    for name, limit, is_well_formed in _META_IDS:
        if name in fields and (text := fields.text(name, limit)):
            well_formed = is_well_formed(text)
            if (not well_formed or "__" in text) and placeholders.is_no_id(text):
                continue  # a well-formed one can only be a macro of underscores
            if well_formed:
                setattr(draft, name, text)
            else:
                dropped.append(name)
                fields.fail(name, "is malformed: send it as Meta made it, without a change")
    return tuple(dropped)


_META_IDS: tuple[tuple[str, int, Callable[[str], bool]], ...] = (
    ("fbclid", MAX_URL, lambda text: identity.build_fbc(text, _ANY_MS) is not None),
    ("fbc", MAX_URL, identity.is_fbc),
    ("fbp", 256, identity.is_fbp),
)


def _user(fields: Fields, draft: Draft, country: str) -> int:
    """Who the visitor is, hashed; returns how many fields nobody reads."""
    section = fields.section("user")
    if section is None:
        return 0
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
    draft.user = identity.hash_user(clear, country=country)
    return section.unknown(_USER)


def _client(fields: Fields, draft: Draft) -> int:
    """What a server knows of the visitor's browser; returns how many fields nobody reads."""
    section = fields.section("client")
    if section is None:
        return 0
    ip = section.text("ip", 64)
    draft.ip = parsed = client_ip.parse(ip) if ip else None
    if ip and parsed is None:
        section.fail("ip", "must be an IPv4 or IPv6 address")
    draft.user_agent = clean_user_agent(section.text("user_agent", 4 * MAX_USER_AGENT))
    return section.unknown(_CLIENT)


def _item(fields: Fields) -> Item | None:
    item_id = fields.identifier("id", 128, numbers=True)
    if item_id is None:
        fields.fail("id", "is required: the item is left out")
        return None
    quantity = fields.whole("quantity", default=1, low=1, high=1_000_000)
    return Item(id=item_id, quantity=quantity, price=fields.amount("price")[0])
