"""Whether gateways still speak as their adapters expect: new words, new fields, approved sales
without what they need.

Drift is counted per gateway (`sinal_gateway_drift_total{gateway,what}`) and said once a process, by
name and never by value. It changes nothing of what happens to a delivery. A field counts when it is
new: it is known from then on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import structlog

from sinal_core.telemetry import metrics
from sinal_hub.gateways import Gateway, carries_contact, uses_unknown_word
from sinal_hub.ingest.drift.fields import field_names
from sinal_hub.ingest.drift.known import KNOWN
from sinal_hub.model.sale import Sale

log = structlog.get_logger(__package__)

# names that a tenant may teach or have said: one that makes names up fills no memory and silences
# nobody
SHARE = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\- ]{0,79}")


class Drift:
    """What is known of each gateway, and what was told."""

    def __init__(self, known: Mapping[str, frozenset[str]] = KNOWN) -> None:
        self._known = {gateway: set(names) for gateway, names in known.items()}
        self._told: set[tuple[str, str, str]] = set()
        self._spent: Counter[str] = Counter()  # by tenant

    def look(self, gateway: Gateway, raw: bytes, sales: Iterable[Sale], *, tenant: str) -> bool:
        """Count what is new in a delivery to the tenant that its adapter read.

        Whether anything is.
        """
        news = 0
        for sale in sales:
            if uses_unknown_word(gateway, sale):
                news += self._tell(gateway.NAME, "unknown_status", sale.event, tenant)
            for field in _missing(gateway, sale):
                news += self._tell(gateway.NAME, f"missing_{field}", "", tenant)
        names = field_names(raw)
        known = self._known.get(gateway.NAME)
        if known is None:
            known = self._known[gateway.NAME] = set(sorted(names)[:SHARE])
            self._spent[tenant] += len(known)
        for name in sorted(names - known)[: max(0, SHARE - self._spent[tenant])]:
            known.add(name)
            self._spent[tenant] += 1
            news += self._tell(gateway.NAME, "unknown_field", name, tenant)
        return bool(news)

    def unreadable(self, gateway: Gateway, *, tenant: str) -> None:
        """Count a believed delivery to the tenant that its adapter could not read."""
        self._tell(gateway.NAME, "unreadable", "", tenant)

    def _tell(self, gateway: str, what: str, name: str, tenant: str) -> int:
        metrics.GATEWAY_DRIFT.labels(gateway, what).inc()
        said = (gateway, what, name if _NAME.fullmatch(name) else "")
        if said not in self._told and self._spent[tenant] <= 2 * SHARE:
            self._told.add(said)
            self._spent[tenant] += 1
            log.warning("gateway.drift", gateway=gateway, what=what, name=said[2] or None)
        return 1


def _missing(gateway: Gateway, sale: Sale) -> list[str]:
    """What an approved sale lacks of what a Purchase needs.

    A shop's test button may leave out anything.
    """
    if sale.status != "approved" or sale.test:
        return []
    customer = sale.customer
    present = {
        "value": sale.value,
        "currency": sale.currency,
        "order_id": sale.order_id,
        "contact": customer.em or customer.ph or not carries_contact(gateway),
    }
    return [field for field, value in present.items() if not value]
