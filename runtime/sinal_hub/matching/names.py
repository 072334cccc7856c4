"""Which order a sale belongs to where its gateway has several ids for one, and which charge is a
subscription's first.

Some gateways tell of one payment under several ids (Stripe: an invoice is paid by a payment intent,
and a refund names only the intent), and of a first charge after a trial as of any later one. Only
what was heard before can tell. Sales leave here under their order's id, so that state, match and
claims are one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sinal_hub.model.events import Event
from sinal_hub.model.sale import SaleDetails
from sinal_hub.store.matching import MatchTransaction
from sinal_hub.store.matching_rows import Alias, FirstCharge, Named, NameRow


async def learned(transaction: MatchTransaction, events: list[Event]) -> list[Event]:
    """The events, each sale under its order's id; what they tell of names is stored.

    Asks nothing where no sale of the batch may have several names or be a subscription's first
    charge.
    """
    sales = [event for event in events if event.sale is not None and _may_be_named(event.sale)]
    if not sales:
        return events
    # A batch beside this one may be learning that two ids are one order: each would open its own.
    await transaction.lock_names()
    rows = {(row.gateway, row.kind, row.name): row for row in _names(sales)}
    await transaction.learn_names([rows[key] for key in sorted(rows)])
    wanted = {
        (event.sale.gateway, event.order_id) for event in sales if event.sale and event.order_id
    }
    orders = await transaction.orders_of([Named(*key) for key in sorted(wanted)])
    named = {event.id: _renamed(event, orders) for event in sales}
    charges: dict[tuple[str, str], FirstCharge] = {}
    # Of several charges in a batch the earliest by its own time is the first: deliveries come in
    # any sequence.
    for event in sorted(named.values(), key=lambda event: event.occurred_at):
        if (charge := _charge(event)) is not None:
            charges.setdefault((charge.gateway, charge.name), charge)
    first = await transaction.first_charges([charges[key] for key in sorted(charges)])
    return [_as_first(named[event.id], first) if event.id in named else event for event in events]


def aliases(events: Iterable[Event]) -> list[Alias]:
    """What orders of these sales are called besides."""
    found = {
        (event.sale.gateway, name): Alias(event.sale.gateway, name, event.order_id)
        for event in events
        if event.sale is not None and event.order_id and not event.sale.test
        for name in event.sale.names or []
        if name != event.order_id
    }
    return [found[key] for key in sorted(found)]


def _may_be_named(sale: SaleDetails) -> bool:
    return not sale.test and (
        sale.names is not msgspec.UNSET or sale.subscription_id is not msgspec.UNSET
    )


def _names(sales: list[Event]) -> Iterable[NameRow]:
    for alias in aliases(sales):
        yield NameRow(kind="alias", name=alias.name, gateway=alias.gateway, order_key=alias.target)
    for event in sales:
        sale = event.sale
        if sale is not None and sale.trial is True and sale.subscription_id:
            yield NameRow(
                kind="trial", name=sale.subscription_id, gateway=sale.gateway, order_key=None
            )


def _renamed(event: Event, orders: dict[tuple[str, str], str]) -> Event:
    sale = event.sale
    if sale is None or not event.order_id:
        return event
    target = orders.get((sale.gateway, event.order_id))
    return event if target is None else msgspec.structs.replace(event, order_id=target)


def _charge(event: Event) -> FirstCharge | None:
    sale = event.sale
    if sale is None or not (
        sale.renewal and sale.subscription_id and event.order_id and sale.status == "approved"
    ):
        return None
    return FirstCharge(sale.gateway, sale.subscription_id, event.order_id)


def _as_first(event: Event, first: set[tuple[str, str]]) -> Event:
    charge, sale = _charge(event), event.sale
    if charge is None or sale is None or (charge.gateway, charge.order_key) not in first:
        return event
    # A funnel that sends no renewals must still send the first payment after a trial.
    return msgspec.structs.replace(event, sale=msgspec.structs.replace(sale, renewal=False))
