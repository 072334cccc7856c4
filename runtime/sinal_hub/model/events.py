"""Messages of the bus: what ingest publishes (`Event`), what matching publishes (`Dispatch`), whom
to `Forget`.

All carry a version in `v`. They are JSON so that a person can read a queue; personal data in them
is hashed.
"""

from __future__ import annotations

import hashlib
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from sinal_hub.model.readback import ReadBack
from sinal_hub.model.sale import SaleDetails

Kind = Literal[
    "click",
    "identify",
    "pageview",
    "view_content",
    "initiate_checkout",
    "lead",
    "sale",
    "heartbeat",
]
TRACKING_KINDS: tuple[Kind, ...] = (
    "click",
    "identify",
    "pageview",
    "view_content",
    "initiate_checkout",
    "lead",
)


class Item(msgspec.Struct, kw_only=True, frozen=True):
    """One item of a tracking event; `price` is a decimal string."""

    id: str
    quantity: int = 1
    price: str | None = None


class UserData(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Meta's hashed customer data: SHA-256 hex, each a list."""

    em: list[str] = []
    ph: list[str] = []
    fn: list[str] = []
    ln: list[str] = []
    ct: list[str] = []
    st: list[str] = []
    zp: list[str] = []
    country: list[str] = []


class Utm(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Campaign parameters as they stood in the URL."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None


# One object each: what is this very one is left out of a message.
NO_UTM, NO_USER = Utm(), UserData()


class Event(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One accepted fact: a visit, a checkout, a lead, or one sale of a webhook."""

    id: str  # event_row_id(tenant, key)
    key: str  # idempotence key, also the Nats-Msg-Id
    kind: Kind
    tenant: str  # slug
    funnel: str  # name
    received_at: int  # Unix ms
    occurred_at: int  # Unix ms
    source: Literal["browser", "server", "webhook", "internal"]
    # How `sale` is written (model/event_versions.py); other events are the same in both versions.
    v: int = 1
    # the key comes from the sender: a repeat may arrive long after the broker's window
    natural_key: bool = False
    event_id: str | None = None  # shared with the browser pixel, sent to Meta as it is
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
    consent_required: bool = False  # where the visitor is, silence is not consent
    crawler: bool = False  # a program loads the page: nobody to match, nothing to send
    value: str | None = None
    currency: str | None = None
    items: list[Item] = []
    order_id: str | None = None
    integration: str | None = None  # name of the GatewayIntegration, for sales
    sale: SaleDetails | None = None
    # the call that tells which sale this notice is about; `sale` is `ignored` then
    readback: ReadBack | None = None


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
# 130 bits, two characters at a time: half the time of base64.b32encode
_SHIFTS = range(120, -1, -10)


class Forget(msgspec.Struct, kw_only=True, frozen=True):
    """Whom an erasure looks for in a tenant: SHA-256 digests as Meta takes them, and order ids.

    Edges get it too.
    """

    tenant: str
    emails: list[str] = []
    phones: list[str] = []
    orders: list[str] = []
    v: int = 1


class Tally(msgspec.Struct, kw_only=True, frozen=True):
    """What one process of the edge has counted of an integration in one hour so far."""

    tenant: str
    integration: str
    hour: int  # Unix seconds
    worker: str
    rejects: int = 0
    drift: int = 0
    # Unix seconds of the last delivery that was believed and not understood
    last_at: int | None = None


class Refused(msgspec.Struct, kw_only=True, frozen=True):
    """Deliveries that one process of the edge refused in one hour so far, for one reason.

    Empty: not known.

    `missing` names a header or parameter, `network` the sender's /24 or /48. Times are Unix
    seconds.
    """

    tenant: str
    integration: str
    gateway: str
    reason: str
    missing: str
    network: str
    hour: int
    worker: str
    deliveries: int
    first_at: int
    last_at: int


class Spooled(msgspec.Struct, kw_only=True, frozen=True):
    """What waits on the disk of one process of the edge."""

    worker: str
    records: int
    bytes: int
    oldest_at: int | None  # Unix seconds


class Tallies(msgspec.Struct, kw_only=True, frozen=True):
    """Several of them: what the edge could make no event of."""

    tallies: list[Tally]
    refused: list[Refused] = []
    spool: Spooled | None = None
    v: int = 1


def event_row_id(tenant: str, key: str) -> str:
    """`ev_` and 26 base32 characters: the same delivery always gets the same id."""
    digest = hashlib.sha256(f"{tenant}|{key}".encode()).digest()
    # 128 bits and two noughts are 130, which 26 characters of five bits hold
    bits = int.from_bytes(digest[:16], "big") << 2
    return "ev_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def meta_event_id(
    tenant: str, order_id: str, event_name: str, value: str | None, currency: str | None
) -> str:
    """The promise's `event_id`: sha256(tenant|order|event|value|currency).

    Two decimals, currency upper case.

    It is stable over retries, replays and the browser pixel (architecture: Delivery promise).
    """
    # gateways write 97.5 and 97.50 for one price, and both must come to one id
    amount = (
        ""
        if value is None
        else str(Decimal(value).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))
    )
    text = f"{tenant}|{order_id}|{event_name}|{amount}|{(currency or '').upper()}"
    return hashlib.sha256(text.encode()).hexdigest()


decode_event = msgspec.json.Decoder(Event).decode
decode_forget = msgspec.json.Decoder(Forget).decode
decode_tallies = msgspec.json.Decoder(Tallies).decode
encode = msgspec.json.Encoder().encode
