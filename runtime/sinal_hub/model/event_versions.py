"""Versions of an `Event` on the bus and in `events.body`: how they are written and read.

- Version 1 tells a sale twice: in the event's own fields, and in `sale` as the gateway's adapter
  gave it.
- Version 2 tells it once: `sale` has what only a sale has.

Version 2 is a part of version 1 in the same places, so one reader reads both. Processes of a
release that only knows version 1 need the whole: while such may run, or be gone back to, the edge
writes version 1 (`SINAL_EVENT_VERSION`). Whoever reads an event and writes it again keeps its
version.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from sinal_hub.model.events import Event, Utm, encode
from sinal_hub.model.sale import Client, Customer, Sale, SaleDetails, Tracking

OLDEST, NEWEST = 1, 2

_DETAILS = tuple(name for name in SaleDetails.__struct_fields__ if name != "slots")
_HASHES = tuple(name for name in Customer.__struct_fields__ if name != "clear")
_IDS = ("click_id", "session_id", "external_id", "fbclid", "fbc", "fbp")


def encode_event(event: Event, at_most: int = NEWEST) -> bytes:
    """An event as JSON, in the version that it names, or in an older one."""
    version = min(event.v, at_most)
    if event.sale is None or version >= NEWEST:
        return encode(event)
    plain = encode(msgspec.structs.replace(event, v=version, sale=None))
    # put in as text: the field's own type is that of version 2
    return plain[:-1] + b',"sale":' + encode(_told_twice(event)) + b"}"


def _told_twice(event: Event) -> Sale:
    """A sale as version 1 repeats it.

    Raises ValueError for an event that is not a sale.
    """
    details = event.sale
    if details is None:
        raise ValueError(f"event {event.id} is not a sale")
    ids = {name: getattr(event, name) for name in _IDS}
    campaign = {f"utm_{name}": getattr(event.utm, name) for name in Utm.__struct_fields__}
    return Sale(
        event_key=event.key,  # nobody behind the edge reads it
        order_id=event.order_id,
        value=event.value,
        currency=event.currency,
        occurred_at=_text(event.occurred_at),
        customer=Customer(**{name: getattr(event.user, name) for name in _HASHES}),
        tracking=Tracking(src=details.slots.src, sck=details.slots.sck, **ids, **campaign),
        client=Client(ip=event.ip, user_agent=event.user_agent),
        **{name: getattr(details, name) for name in _DETAILS},
    )


def _text(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
