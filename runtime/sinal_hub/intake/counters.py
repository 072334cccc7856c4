"""What gateways send that no event comes of: counted here by integration and hour, told to
housekeeping now and then; and what waits on this process's disk.

Each telling says what this process has counted in the hour so far, so that one that is lost, or
told twice, spoils nothing. Counting costs a request nothing; memory is bounded by the integrations
that there are.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec
import structlog

from sinal_core.aio.clock import WallClock
from sinal_core.nats.errors import BusError
from sinal_crds.names import TALLY_SUBJECT
from sinal_hub.intake.refusal import Refusal
from sinal_hub.intake.refusal_counters import HOUR_S, RefusalCounters
from sinal_hub.model.events import Spooled, Tallies, Tally, encode
from sinal_hub.spool import SpoolState

log = structlog.get_logger(__name__)

MOST = 500  # in one message

Key = tuple[str, str, int]  # tenant, integration, hour


class Caller(Protocol):
    """Asks something of whoever listens; `Bus` in production. Raises BusError."""

    async def call(self, subject: str, body: bytes = b"", *, timeout_s: float = ...) -> object: ...


class IntegrationCounters:
    """The counts of one process; `worker` names it."""

    def __init__(self, *, worker: str, clock: WallClock = time) -> None:
        self._worker, self._clock = worker, clock
        self._counts: dict[Key, Tally] = {}
        self._untold: set[Key] = set()
        self._refusing = RefusalCounters(worker=worker, clock=clock)
        self._spool: Spooled | None = None  # as it was told last

    def refused(self, refusal: Refusal) -> None:
        """A delivery was refused.

        Of one that failed its integration's check the integration counts it as well.
        """
        self._refusing.note(refusal)

    def rejected(self, tenant: str, integration: str) -> None:
        """A delivery to its URL failed its check."""
        key, tally = self._of(tenant, integration)
        self._counts[key] = msgspec.structs.replace(tally, rejects=tally.rejects + 1)

    def drifted(self, tenant: str, integration: str) -> None:
        """A delivery that was believed was not fully understood."""
        key, tally = self._of(tenant, integration)
        now = int(self._clock.time())
        self._counts[key] = msgspec.structs.replace(tally, drift=tally.drift + 1, last_at=now)

    async def tell(self, bus: Caller, spool: SpoolState | None = None) -> None:
        """Tell what was counted since the last time, and how the disk stands.

        What nobody takes is told again.
        """
        waits = self._waits(spool)
        is_news = waits is not None and (waits.records > 0 or waits != self._spool)
        while self._untold or is_news or self._refusing.untold(1):
            keys, refused = sorted(self._untold)[:MOST], self._refusing.untold(MOST)
            told = [self._counts[key] for key in keys]
            try:
                await bus.call(
                    TALLY_SUBJECT, encode(Tallies(tallies=told, refused=refused, spool=waits))
                )
            except BusError as error:
                log.debug("ingest.tallies_wait", error=type(error).__name__)
                return
            # What was counted while the call was under way is another object, and is told again.
            self._untold -= {
                key for key, tally in zip(keys, told, strict=True) if self._counts[key] is tally
            }
            self._refusing.told(refused)
            self._spool, is_news = waits, False
        self._forget()
        self._refusing.forget()

    def _waits(self, spool: SpoolState | None) -> Spooled | None:
        """An empty disk is told once, after one that was not."""
        if spool is None or (not spool.records and self._spool is None):
            return None
        oldest = int(self._clock.time() - spool.oldest_s) if spool.records else None
        return Spooled(
            worker=self._worker, records=spool.records, bytes=spool.bytes, oldest_at=oldest
        )

    def _of(self, tenant: str, integration: str) -> tuple[Key, Tally]:
        hour = int(self._clock.time()) // HOUR_S * HOUR_S
        key = (tenant, integration, hour)
        self._untold.add(key)
        fresh = Tally(tenant=tenant, integration=integration, hour=hour, worker=self._worker)
        return key, self._counts.setdefault(key, fresh)

    def _forget(self) -> None:
        """Of hours that are over, and told."""
        now = int(self._clock.time()) // HOUR_S * HOUR_S
        self._counts = {
            key: tally
            for key, tally in self._counts.items()
            if key[2] >= now or key in self._untold
        }
