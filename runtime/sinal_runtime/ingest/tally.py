"""What gateways send that no event comes of: counted here by integration and hour, told to housekeeping now and then.

Each telling says what this process has counted in the hour so far, so that one that is lost, or told twice, spoils
nothing. Counting costs a request nothing; memory is bounded by the integrations that there are.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec
import structlog

from sinal_crds.names import TALLY_SUBJECT
from sinal_runtime.bus.errors import BusError
from sinal_runtime.events import Tallies, Tally, encode
from sinal_runtime.ingest.ports import Clock

log = structlog.get_logger(__name__)

HOUR_S = 3_600
MOST = 500  # in one message

Key = tuple[str, str, int]  # tenant, integration, hour


class Caller(Protocol):
    """Asks something of whoever listens; `Bus` in production. Raises BusError."""

    async def call(self, subject: str, body: bytes = b"", *, timeout_s: float = ...) -> object: ...


class Tallying:
    """The counts of one process; `worker` names it."""

    def __init__(self, *, worker: str, clock: Clock = time) -> None:
        self._worker, self._clock = worker, clock
        self._counts: dict[Key, Tally] = {}
        self._untold: set[Key] = set()

    def rejected(self, tenant: str, integration: str) -> None:
        """A delivery to its URL failed its check."""
        key, tally = self._of(tenant, integration)
        self._counts[key] = msgspec.structs.replace(tally, rejects=tally.rejects + 1)

    def drifted(self, tenant: str, integration: str) -> None:
        """A delivery that was believed was not fully understood."""
        key, tally = self._of(tenant, integration)
        now = int(self._clock.time())
        self._counts[key] = msgspec.structs.replace(tally, drift=tally.drift + 1, last_at=now)

    async def tell(self, bus: Caller) -> None:
        """Tell what was counted since the last time; what nobody takes is told again."""
        while self._untold:
            keys = sorted(self._untold)[:MOST]
            told = [self._counts[key] for key in keys]
            try:
                await bus.call(TALLY_SUBJECT, encode(Tallies(tallies=told)))
            except BusError as error:
                log.debug("ingest.tallies_wait", error=type(error).__name__)
                return
            self._untold -= {key for key, tally in zip(keys, told, strict=True) if self._counts[key] is tally}
        self._forget()

    def _of(self, tenant: str, integration: str) -> tuple[Key, Tally]:
        hour = int(self._clock.time()) // HOUR_S * HOUR_S
        key = (tenant, integration, hour)
        self._untold.add(key)
        fresh = Tally(tenant=tenant, integration=integration, hour=hour, worker=self._worker)
        return key, self._counts.setdefault(key, fresh)

    def _forget(self) -> None:
        """Of hours that are over, and told."""
        now = int(self._clock.time()) // HOUR_S * HOUR_S
        self._counts = {key: tally for key, tally in self._counts.items() if key[2] >= now or key in self._untold}
