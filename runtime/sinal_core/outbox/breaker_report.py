"""Says beside the process which breakers are not closed, so that statuses can tell of them.

Written only when a breaker opens, opens again or closes. What can't be written now is written at
the next occasion: delivery does not wait for it and does not fail by it.
"""

from __future__ import annotations

import structlog

from sinal_core.aio.breaker import Opening
from sinal_core.outbox.ports import Circuits, Key
from sinal_core.postgres.errors import StoreError

log = structlog.get_logger(__name__)


class BreakerReport:
    """What was said of each destination."""

    def __init__(self, circuits: Circuits | None) -> None:
        self._circuits = circuits
        self._said: dict[Key, Opening] = {}

    async def say(self, key: Key, opening: Opening | None, now: float) -> None:
        """Write how a breaker stands if that is news; `now` is monotonic."""
        if self._circuits is None or opening == self._said.get(key):
            return
        try:
            if opening is None:
                await self._circuits.closed(*key)
                del self._said[key]
            else:
                wait_s = max(0.0, opening.until - now)
                await self._circuits.opened(*key, reason=opening.reason, wait_s=wait_s)
                self._said[key] = opening
        except StoreError as error:
            log.info(
                "destination.breaker_not_told",
                tenant=key[0],
                destination=key[1],
                error=type(error).__name__,
            )
