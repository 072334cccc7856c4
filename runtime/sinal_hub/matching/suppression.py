"""What people asked of their data, as matching obeys it: what is erased is dropped, a withdrawn
consent stays.

A mark's key is a digest over tenant, kind and value, so that the table of marks names nobody, not
even by the hash that Meta uses. Erasure reaches back: a fact from before it is dropped however late
it comes; a new one starts anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

from sinal_hub.model.events import Event
from sinal_hub.model.times import moment
from sinal_hub.store.matching_rows import EventRow, Mark

Trait = Literal["em", "ph", "order", "click", "session", "external"]
_EMPTY = msgspec.Raw(b"{}")


def key_of(tenant: str, trait: Trait, value: str) -> str:
    """The key under which something of a person is marked."""
    return hashlib.sha256(f"{tenant}|{trait}|{value}".encode(errors="surrogatepass")).hexdigest()


def traits(event: Event) -> list[tuple[Trait, str]]:
    """What an event says of who it is about."""
    parent = None if event.sale is None else event.sale.parent_order_id
    told: list[tuple[Trait, Iterable[str | None]]] = [
        ("em", event.user.em),
        ("ph", event.user.ph),
        # A sale that names a parent order is of the same buyer: who erases the parent means both.
        ("order", [event.order_id, parent]),
        ("click", [event.click_id]),
        ("session", [event.session_id]),
        ("external", [event.external_id]),
    ]
    return [(trait, value) for trait, values in told for value in values if value]


class SuppressionList:
    """The marks on a batch of one tenant's events; use `keys`, look them up, then ask."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._traits = {
            event.id: {key_of(event.tenant, *told): told[0] for told in traits(event)}
            for event in events
        }
        self._found: dict[tuple[str, str], int] = {}

    @property
    def keys(self) -> list[str]:
        """Everything to look up."""
        return sorted({key for keys in self._traits.values() for key in keys})

    def take(self, found: Iterable[Mark]) -> None:
        """What was found."""
        self._found = {(mark.kind, mark.key): mark.at_ms for mark in found}

    def erased(self, event: Event) -> bool:
        """Whether it is about somebody who was erased after it happened, or about an erased
        order.
        """
        return self._marked(event, "erased", always="order")

    def obeyed(self, event: Event) -> Event:
        """The event, without consent where it was withdrawn and the event does not say yes later
        than that.
        """
        withdrawn = self._marked(event, "no_consent", later=event.consent_ads is not True)
        return msgspec.structs.replace(event, consent_ads=False) if withdrawn else event

    def _marked(self, event: Event, kind: str, *, always: str = "", later: bool = False) -> bool:
        if not self._found:
            return False
        # A gateway's clock may be ahead: what was received before the erasure is older than it.
        happened = min(event.occurred_at, event.received_at)
        return any(
            at is not None and (later or trait == always or happened <= at)
            for key, trait in self._traits[event.id].items()
            for at in [self._found.get((kind, key))]
        )


def blank_row(event: Event) -> EventRow:
    """The row of an event that was accepted and may not be kept: it counts, and tells nothing of
    anybody.
    """
    return EventRow(
        id=event.id,
        received_at=moment(event.received_at),
        occurred_at=moment(event.occurred_at),
        funnel=event.funnel,
        kind=event.kind,
        source=event.source,
        event_id=None,
        status=event.sale.status if event.sale else None,
        gateway=event.sale.gateway if event.sale else None,
        integration=event.integration,
        order_id=None,
        click_id=None,
        value=None,
        currency=None,
        email_hash=None,
        consent_ads=None,
        conversion_id=None,
        outcome="withheld",
        reason="erased",
        body=_EMPTY,
    )
