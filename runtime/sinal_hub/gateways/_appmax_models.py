"""Appmax's five content models as one order and one customer.

The account chooses the model in its panel: Standard (`data.id`, nested `customer`), Standard with
Meta (`data.meta`), Two-Level Flat (`data.order_*`, `data.customer_*`), Custom Content (a few fields
of either), Old Legacy (`event_type: "order"`, event in snake_case, only `data.order_id`). Events of
a customer have the customer in `data`, whose `id` is then no order.
"""

from __future__ import annotations

import re

from sinal_hub.gateways import NotThisGateway
from sinal_hub.gateways._body import Node

CUSTOMER_EVENTS = frozenset({
    "customercreated",
    "customerinterested",
    "customercontacted",
    "subscriptioncancellationevent",
    "subscriptiondelayedevent",
})  # fmt: skip
_CAMEL_CASE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*", re.ASCII)
# Hotmart's `event` and `data` come with these
_FOREIGN = ("version", "creation_date", "creationDate")


class AppmaxDelivery:
    """One delivery: its event, and order and customer whatever the model."""

    def __init__(self, body: Node) -> None:
        """Raises NotThisGateway for a body that has no event of Appmax."""
        self.event = _event_of(body)
        self.data = body.node("data")
        if not self.data:
            raise NotThisGateway("`data` is missing or empty")
        self.word = self.event.replace("_", "").lower()  # order_paid and OrderPaid are one word
        self.is_customer = self.word in CUSTOMER_EVENTS
        self.order = Node() if self.is_customer else _merged(self.data, "order_")
        self.customer = (
            self.data
            if self.is_customer
            else self.data.node("customer") or _only(self.data, "customer_")
        )
        self.environment = body.text("environment")


def _event_of(body: Node) -> str:
    event, _, _ = (body.text("event") or "").partition("|")  # "PaymentNotAuthorized | Reason: …"
    event = event.strip()
    if not event:
        raise NotThisGateway("`event` is missing")
    if any(name in body for name in _FOREIGN):
        raise NotThisGateway("`version` and `creation_date` are none of Appmax's fields")
    if not _CAMEL_CASE.fullmatch(event) and body.text("event_type") != "order":
        raise NotThisGateway('`event` is not a word of Appmax\'s, and `event_type` is not "order"')
    return event


def _merged(data: Node, prefix: str) -> Node:
    """The fields of `data`, and without their prefix those that have one."""
    return Node({**_fields(data, prefix), **{name: data.raw(name) for name in data}})


def _only(data: Node, prefix: str) -> Node:
    return Node(_fields(data, prefix))


def _fields(data: Node, prefix: str) -> dict[str, object]:
    return {name.removeprefix(prefix): data.raw(name) for name in data if name.startswith(prefix)}
