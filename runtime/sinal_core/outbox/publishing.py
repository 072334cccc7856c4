"""Publishes entries of an outbox and remembers that it did.

Publishing twice is harmless: a claim takes an entry once. Forgetting is not: an entry is marked only
after the broker's ack, and the sweep finds those without a mark and those whose message is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from sinal_core.nats.client import Outgoing, Publisher
from sinal_core.nats.errors import BusError, LaneMissing
from sinal_core.outbox.messages import Pointer, encode
from sinal_core.outbox.postgres import Pending, PostgresLedger

log = structlog.get_logger(__name__)

QUIET_S = 5.0  # who has just written an entry publishes it
LOST_S = 300.0  # beyond any lease and any message that the broker delivers again


class OutboxPublisher:
    """Of one product; `subject` gives the one of a tenant's destination."""

    def __init__(
        self, bus: Publisher, ledger: PostgresLedger, subject: Callable[[str, str], str]
    ) -> None:
        self._bus, self._ledger, self._subject = bus, ledger, subject

    async def publish(self, pending: Sequence[Pending]) -> bool:
        """Publish and mark; False when the broker did not take all of them.

        Raises StoreUnavailable.
        """
        if not pending:
            return True
        answers = await self._bus.publish_many([self._message(one) for one in pending])
        told = list(zip(pending, answers, strict=True))
        for tenant in {one.tenant for one, answer in told if isinstance(answer, LaneMissing)}:
            self._bus.request_provision(tenant)
        refused = [answer for answer in answers if isinstance(answer, BusError)]
        await self._ledger.mark_published(
            [one for one, answer in told if not isinstance(answer, BusError)]
        )
        if refused:
            kinds = sorted({type(answer).__name__ for answer in refused})
            log.warning("outbox.unpublished", rows=len(refused), errors=kinds)
        return not refused

    async def sweep(self, *, quiet_s: float = QUIET_S, lost_s: float = LOST_S) -> int:
        """Publish entries that no message stands for; how many. Call it every minute or so."""
        found = await self._ledger.unpublished(quiet_s=quiet_s, lost_s=lost_s)
        await self.publish(found)
        return len(found)

    def _message(self, one: Pending) -> Outgoing:
        subject = self._subject(one.tenant, one.destination)
        ref = one.ref
        return Outgoing(
            subject=subject,
            body=encode(Pointer(id=ref.id, created_at=ref.created_ms)),
            # With the number of publications in it: the broker must not take the message that
            # replaces a lost one for a repeat of it.
            msg_id=f"{subject}:{one.id}:{one.generation}:{one.publications}",
        )
