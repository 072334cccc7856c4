"""A gateway's sample: captured bodies with places to fill, and the events that its panel offers.

`payloads/<gateway>.json` holds `order` (the form of an order's number: `#` a digit, `?` a capital
letter or digit, `*` a letter or digit, or `uuid`), `bodies` by name, and `events` by the gateway's
own word: what Sinal makes of it (`kind`), its `body`, and what it has otherwise (`set`, by path). A
place is `$name`, one of `Filling.places`; alone it keeps its type.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import string
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

# gateways of a country without summer time write local time
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
_CAPITALS = string.digits + string.ascii_uppercase
_LETTERS = string.digits + string.ascii_letters
_PLACE = re.compile(r"\$([a-z_]+)")
_FORMS = {"#": string.digits, "?": _CAPITALS, "*": _LETTERS}


class NoSample(ValueError):
    """The gateway or event is unknown, or its orders have another form.

    The message lists what there is.
    """


class SampleEvent(msgspec.Struct, frozen=True):
    """One event of a gateway: its normalised kind, its body, and what it says otherwise, by
    path.
    """

    kind: str
    body: str
    set: dict[str, Any]


class GatewaySamples(msgspec.Struct, frozen=True):
    """Everything that is sampled of a gateway."""

    order: str
    bodies: dict[str, Any]
    events: dict[str, SampleEvent]

    @property
    def numbered(self) -> bool:
        """Whether its orders are numbers in JSON."""
        return "$order_number" in json.dumps(self.bodies)


@dataclass(frozen=True)
class Filling:
    """What is fresh in a sample; a click id that is None was not in the checkout's link."""

    order: str
    event: str
    secret: str = ""
    email: str = ""
    phone: str = ""  # area code and nine digits
    click: str | None = None
    name: str = "Maria Souza"
    ip: str = "177.10.20.30"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def places(self) -> dict[str, Any]:
        """Values by the names of their places."""
        local, first = self.now.astimezone(SAO_PAULO), self.name.partition(" ")
        digest = hashlib.sha256(f"{self.order} {self.event}".encode()).hexdigest()
        whose = hashlib.sha256(self.order.encode()).hexdigest()
        seconds = int(self.now.timestamp())
        return {
            "order": self.order,
            "order_number": int(self.order)
            if self.order.isascii() and self.order.isdigit()
            else self.order,
            "order_hex": whose[:24],
            "uuid": str(uuid.UUID(digest[:32])),
            "hex": digest[:16],
            "secret": self.secret,
            "click": self.click,
            "name": self.name,
            "first_name": first[0],
            "last_name": first[2],
            "email": self.email,
            "phone": self.phone,
            "ddd": self.phone[:2],
            "number": self.phone[2:],
            "ip": self.ip,
            "now": self.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "now_s": seconds,
            "now_ms": seconds * 1000,
            "local": local.strftime("%Y-%m-%d %H:%M:%S"),
            "local_minute": local.strftime("%Y-%m-%d %H:%M"),
            "local_zoned": local.isoformat(timespec="seconds"),
        }


@cache
def sampled() -> Mapping[str, GatewaySamples]:
    """Every gateway with samples, by name."""
    folder = resources.files(__package__) / "payloads"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".json")),
        key=lambda file: file.name,
    )
    return {
        file.name.removesuffix(".json"): msgspec.json.decode(file.read_bytes(), type=GatewaySamples)
        for file in files
    }


def find(gateway: str, event: str | None = None) -> tuple[str, SampleEvent]:
    """An event by the gateway's word or by its normalised kind, without one the first.

    Raises NoSample.
    """
    known = sampled().get(gateway)
    if known is None:
        raise NoSample(f"no samples of a gateway {gateway!r}; there are: {', '.join(sampled())}")
    if event is None:
        return next(iter(known.events.items()))
    for word, one in known.events.items():
        if event.lower() == word.lower():
            return word, one
    for word, one in known.events.items():
        if event.lower() == one.kind:
            return word, one
    raise NoSample(f"{gateway} has no sample of {event!r}; there are: {', '.join(known.events)}")


def fresh_order(gateway: str) -> str:
    """A number of an order as the gateway makes them."""
    form = sampled()[gateway].order
    if form == "uuid":
        return str(uuid.uuid4())
    return "".join(secrets.choice(_FORMS[char]) if char in _FORMS else char for char in form)


def check_order(gateway: str, order: str) -> None:
    """Raises NoSample for an order that the gateway could not send."""
    if sampled()[gateway].numbered and not (
        order.isascii() and order.isdigit() and len(order) <= 18
    ):
        raise NoSample(f"{gateway} numbers its orders: give at most 18 digits, not {order!r}")


def body(gateway: str, event: SampleEvent, filling: Filling) -> bytes:
    """The bytes of a delivery."""
    known = sampled()[gateway]
    tree = json.loads(json.dumps(known.bodies[event.body]))
    for path, value in event.set.items():
        _put(tree, path.split("."), value)
    return json.dumps(_filled(tree, filling.places()), ensure_ascii=False).encode()


def listed() -> Iterator[dict[str, str]]:
    """Every sample: gateway, event, and what Sinal makes of it."""
    for gateway, known in sampled().items():
        for word, event in known.events.items():
            yield {"gateway": gateway, "event": word, "kind": event.kind}


def _put(tree: Any, way: list[str], value: Any) -> None:
    *before, last = way
    for step in before:
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value


def _filled(tree: Any, places: Mapping[str, Any]) -> Any:
    if isinstance(tree, dict):
        return {name: _filled(value, places) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(value, places) for value in tree]
    if not isinstance(tree, str):
        return tree
    alone = _PLACE.fullmatch(tree)
    if alone:
        return places[alone[1]]
    return _PLACE.sub(lambda found: str(places[found[1]] or ""), tree)
