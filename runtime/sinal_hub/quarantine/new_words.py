"""Deliveries that were read but for the word that says what happened: recorded as `ignored`, and
kept to be read again.

A gateway that renames "paid" would otherwise cost every sale until the adapter knows the new word.
Kept beside what nobody understood, and bounded: a word that means nothing may come with every
order.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from sinal_hub.gateways import Gateway, uses_unknown_word
from sinal_hub.intake.ports import Quarantine
from sinal_hub.model.sale import Sale
from sinal_hub.quarantine.keeping import CannotKeep

log = structlog.get_logger(__name__)

MAX_COPIES = 1_000  # of a tenant, gateway and word, in this process
# of a tenant: a sender that makes words up must not fill memory or bucket, nor use up another's
MAX_WORDS = 100
REASON = "the word for what happened is new: recorded as ignored"


def awaits_fix(gateway: Gateway, sales: Sequence[Sale]) -> bool:
    """Whether a sale of an order was ignored for a word that is new.

    Where no order is named, no money is.
    """
    return any(sale.order_id is not None and uses_unknown_word(gateway, sale) for sale in sales)


class NewWords:
    """Keeps copies in quarantine."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine
        self._copies: dict[str, dict[tuple[str, str], int]] = {}  # by tenant; gateway and word

    async def keep(
        self, gateway: Gateway, sales: Sequence[Sale], *, tenant: str, integration: str, raw: bytes
    ) -> str | None:
        """Keep a delivery that awaits a fix.

        Its id, or None where there is nothing to keep or no room for it.

        The sale is recorded already, so that nothing here may fail the delivery.
        """
        if not awaits_fix(gateway, sales) or not self._admits(tenant, gateway.NAME, sales):
            return None
        try:
            return await self._quarantine.keep(
                tenant=tenant, integration=integration, gateway=gateway.NAME, raw=raw, reason=REASON
            )
        except CannotKeep:
            log.warning("webhook.copy_not_kept", gateway=gateway.NAME, tenant=tenant)
            return None

    def _admits(self, tenant: str, gateway: str, sales: Sequence[Sale]) -> bool:
        words, word = self._copies.setdefault(tenant, {}), (gateway, sales[0].event)
        copies = words.get(word, 0)
        if copies >= MAX_COPIES or (not copies and len(words) >= MAX_WORDS):
            return False
        words[word] = copies + 1
        return True
