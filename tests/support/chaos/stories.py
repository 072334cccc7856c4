"""What happens in a shop: orders as sequences of facts, each one HTTP delivery, all of it drawn
from one generator.

A fact knows what it is; how it is sent is in its delivery, what must come of it is for `model` to
say. Sequences are those that gateways really make: a card refused and then approved, a Pix issued
and paid or not, a sale given back, a completion that overtakes its approval.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, DemoRequest

from tests.support.chaos.world import HOTTOK, KIWIFY_TOKEN, LOJA, STRIPE_SECRET, VIZINHA, Shop

Consent = Literal["yes", "no", "silent"]

SEQUENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "hotmart": (
        ("approved",),
        ("pending", "approved"),
        ("pending", "approved", "completed"),
        ("approved", "refunded"),
        ("pending", "expired"),
        ("canceled", "approved"),
        ("approved", "refund_requested", "refunded"),
    ),
    "kiwify": (
        ("approved",),
        ("refused", "approved"),
        ("refused",),
        ("pending", "approved"),
        ("approved", "refunded"),
    ),
    "stripe": (("approved",), ("approved", "refunded")),
}
_HOTMART = {
    "pending": ("PURCHASE_BILLET_PRINTED", "BILLET_PRINTED"),
    "approved": ("PURCHASE_APPROVED", "APPROVED"),
    "completed": ("PURCHASE_COMPLETE", "COMPLETED"),
    "refund_requested": ("PURCHASE_PROTEST", "DISPUTE"),
    "refunded": ("PURCHASE_REFUNDED", "REFUNDED"),
    "canceled": ("PURCHASE_CANCELED", "CANCELED"),
    "expired": ("PURCHASE_EXPIRED", "EXPIRED"),
}
_KIWIFY = {
    "pending": ("pix_created", "waiting_payment"),
    "approved": ("order_approved", "paid"),
    "refused": ("order_rejected", "refused"),
    "refunded": ("order_refunded", "refunded"),
}


@dataclass(frozen=True)
class Fact:
    """One thing that happened and the request that tells of it.

    `door` is a tracking kind or a gateway.
    """

    shop: Shop
    order: str
    what: str  # click, initiate_checkout, or the status of a sale
    door: str
    delivery: DemoRequest = field(compare=False)
    repeats: int = 0  # how often its sender delivers it again though it was accepted
    pause_s: float = 0.0  # from the fact before it

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.shop.slug}/{self.order}/{self.what}"

    @property
    def is_sale(self) -> bool:
        """Whether a gateway tells of it."""
        return self.what not in ("click", "initiate_checkout")


@dataclass(frozen=True)
class Order:
    """One order with everything that happens around it, in the sequence it is sent in."""

    shop: Shop
    number: str
    gateway: str
    value: str
    consent: Consent
    is_test: bool
    facts: tuple[Fact, ...]
    starts_at_s: float

    @property
    def sales(self) -> tuple[Fact, ...]:
        """What the gateway tells."""
        return tuple(fact for fact in self.facts if fact.is_sale)


def orders(rng: Random, seed: int, *, facts: int, over_s: float) -> list[Order]:
    """Orders with about so many facts in all, that begin evenly over a span of seconds."""
    made: list[Order] = []
    while sum(len(order.facts) for order in made) < facts:
        made.append(_order(rng, seed, len(made), over_s))
    return made


def _order(rng: Random, seed: int, number: int, over_s: float) -> Order:
    shop = LOJA if rng.random() < 0.6 else VIZINHA
    gateway = rng.choice(sorted(shop.integrations))
    name = f"{seed}x{number:04d}"
    # a phone that two buyers share would be a tie of clicks
    phone = f"119{seed % 10_000:04d}{number % 10_000:04d}"
    order = _number(gateway, name)
    consent: Consent = rng.choices(("yes", "no", "silent"), (5, 2, 3))[0]
    is_test = gateway == "stripe" and rng.random() < 0.1
    cents = rng.randrange(990, 299_700)
    value = f"{cents // 100}.{cents % 100:02d}"
    buyer = Buyer("Comprador Teste", f"buyer.{name}@example.com", phone)
    sequence = list(rng.choice(SEQUENCES[gateway]))
    if len(sequence) > 1 and rng.random() < 0.25:
        rng.shuffle(sequence)
    sales = [
        _sale(shop, gateway, order, name, buyer, value, status, is_test) for status in sequence
    ]
    visits = list(_visits(rng, shop, order, name, buyer, consent))
    told = [_played(rng, fact) for fact in (*visits, *sales)]
    return Order(shop, order, gateway, value, consent, is_test, tuple(told), rng.uniform(0, over_s))


def _played(rng: Random, fact: Fact) -> Fact:
    repeats = rng.choices((0, 1, 3), (80, 15, 5))[0]
    pause_s = rng.choice((0.0, 0.0, rng.uniform(0, 0.8)))
    return Fact(fact.shop, fact.order, fact.what, fact.door, fact.delivery, repeats, pause_s)


def _number(gateway: str, name: str) -> str:
    return {"hotmart": f"HP{name}", "kiwify": f"kw-{name}", "stripe": f"pi_{name}"}[gateway]


def _visits(
    rng: Random, shop: Shop, order: str, name: str, buyer: Buyer, consent: Consent
) -> Iterator[Fact]:
    """A click always; in half of the orders a checkout that left its e-mail."""
    said = {"yes": {"consent_ads": True}, "no": {"consent_ads": False}, "silent": {}}[consent]
    visit = {
        "click_id": click_of(name),
        "url": f"https://{shop.slug}.example/p?utm_source=fb&fbclid=IwAR{name}",
        "client": {"ip": f"200.{rng.randrange(200)}.{rng.randrange(200)}.{rng.randrange(1, 250)}"},
        **said,
    }
    yield _visit(shop, order, "click", {**visit, "event_id": f"{order}-click"})
    if rng.random() < 0.5:
        checkout = {**visit, "event_id": checkout_of(order), "value": "97.00", "currency": "BRL"}
        yield _visit(shop, order, "initiate_checkout", {**checkout, "user": {"email": buyer.email}})


def click_of(name: str) -> str:
    """The click id that comes back through the gateway."""
    return f"c-{name}"


def checkout_of(order: str) -> str:
    """The event id that the browser's pixel would share."""
    return f"{order}-checkout"


def _visit(shop: Shop, order: str, kind: str, fields: dict[str, object]) -> Fact:
    return Fact(shop, order, kind, kind, DemoRequest(kind, json.dumps(fields).encode()))


def _sale(
    shop: Shop,
    gateway: str,
    order: str,
    name: str,
    buyer: Buyer,
    value: str,
    status: str,
    is_test: bool,
) -> Fact:
    click = click_of(name)
    if gateway == "hotmart":
        delivery = _hotmart(order, buyer, value, status, click)
    elif gateway == "kiwify":
        delivery = _kiwify(order, buyer, value, status, click)
    else:
        delivery = _stripe(order, buyer, value, status, click, is_test)
    return Fact(shop, order, status, gateway, delivery)


def _hotmart(order: str, buyer: Buyer, value: str, status: str, click: str) -> DemoRequest:
    made = deliveries.hotmart(order, buyer, token=HOTTOK, xcod=click)
    payload = json.loads(made.body)
    payload["event"], payload["data"]["purchase"]["status"] = _HOTMART[status]
    price = {"currency_value": "BRL", "value": float(value)}
    payload["data"]["purchase"].update(price=price, full_price=price)
    return DemoRequest("hotmart", deliveries.encode(payload), made.headers)


def _kiwify(order: str, buyer: Buyer, value: str, status: str, click: str) -> DemoRequest:
    made = deliveries.kiwify(order, buyer, token=KIWIFY_TOKEN, sck=click)
    payload = json.loads(made.body)
    payload["webhook_event_type"], payload["order_status"] = _KIWIFY[status]
    payload["Commissions"].update(charge_amount=_cents(value), product_base_price=_cents(value))
    return deliveries.kiwify_signed(payload, KIWIFY_TOKEN)


def _stripe(
    order: str, buyer: Buyer, value: str, status: str, click: str, is_test: bool
) -> DemoRequest:
    made = (
        deliveries.stripe_completed(order, buyer, secret=STRIPE_SECRET, click_id=click)
        if status == "approved"
        else deliveries.stripe_refunded(order, secret=STRIPE_SECRET)
    )
    payload = json.loads(made.body)
    payload["livemode"] = payload["data"]["object"]["livemode"] = not is_test
    names = (
        ("amount_total", "amount_subtotal")
        if status == "approved"
        else ("amount", "amount_captured")
    )
    payload["data"]["object"].update(dict.fromkeys(names, _cents(value)))
    if status == "refunded":
        payload["data"]["object"]["amount_refunded"] = _cents(value)
    return deliveries.stripe_signed(payload, STRIPE_SECRET)


def _cents(value: str) -> int:
    return int(value.replace(".", ""))


def facts_of(told: Sequence[Order]) -> list[Fact]:
    """Every fact."""
    return [fact for order in told for fact in order.facts]
