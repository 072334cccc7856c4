"""Which spooled records a person's erasure takes: those of one tenant that hold a digest or an
order of that person.

Bodies are read as events; what is not an event (a sealed delivery on its way to quarantine) cannot
be told from outside and stays until its own expiry.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from sinal_crds import names
from sinal_hub.model.events import Event, decode_event
from sinal_hub.spool.disk import Keep
from sinal_hub.spool.record import SpoolEntry


def keep_others(
    *,
    tenant: str,
    emails: Collection[str] = (),
    phones: Collection[str] = (),
    orders: Collection[str] = (),
) -> Keep:
    """For `Detour.erase`: wants every record but those with one of these SHA-256 digests or order
    ids.
    """
    mails, numbers, order_ids = frozenset(emails), frozenset(phones), frozenset(orders)
    prefix = names.in_subject(tenant, "")

    def keep(entry: SpoolEntry) -> bool:
        if entry.tenant != tenant or not entry.subject.startswith(prefix):
            return True
        try:
            event = decode_event(entry.body)
        except msgspec.MsgspecError:
            return True
        return not (
            order_ids & _orders(event)
            or mails.intersection(event.user.em)
            or numbers.intersection(event.user.ph)
        )

    return keep


def _orders(event: Event) -> frozenset[str]:
    found = {event.order_id}
    if event.sale is not None:
        found.add(event.sale.parent_order_id)
    return frozenset(order for order in found if order)
