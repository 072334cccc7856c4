"""Tells what the runtime sees of each tenant: looks, composes, and writes what differs into the
bucket of facts.

Invariants: what hangs there already is not written again; a tenant's entry is written at most once
in `apart_s`, but for what is urgent; and while all is quiet only the pulse is written, which says
that somebody still looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from sinal_core.plans.ports import Plans
from sinal_crds.tenant_status import (
    ORPHANS_KEY,
    PULSE_KEY,
    PULSE_S,
    ObservedTenant,
    Pulse,
    UnknownStatusVersion,
    decode,
    decode_pulse,
    encode,
)
from sinal_hub.status import measurements
from sinal_hub.status.surveys import Surveyor
from sinal_hub.store.tenant_status import TenantStatusStore

APART_S = 30.0


class Board(Protocol):
    """Where facts hang; `nats.status_bucket.Board` in production. Raises BusError."""

    async def look(self) -> Mapping[str, bytes]: ...

    async def put(self, entries: Mapping[str, bytes]) -> None: ...

    async def take_down(self, keys: set[str]) -> None: ...


class TenantStatusReporter:
    """The teller of one process; its pace is its own, what hangs there is everybody's."""

    def __init__(
        self,
        store: TenantStatusStore,
        board: Board,
        bus: Surveyor,
        plans: Plans,
        *,
        apart_s: float = APART_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._board, self._bus, self._plans = store, board, bus, plans
        self._apart_s, self._clock = apart_s, clock
        self._written_at: dict[str, float] = {}

    async def tell(self, since: datetime | None) -> int:
        """Look and tell; returns how many tenants had news. Raises BusError, StoreUnavailable."""
        plans = dict(self._plans.snapshot.tenants)
        depths = (await self._bus.survey(ages=True)).depths
        sights = await self._store.look(measurements.lanes(plans), since=since)
        hanging = await self._board.look()
        now = self._clock()
        fresh = measurements.compose(plans, sights, depths, now=datetime.fromtimestamp(now, UTC))
        news = {
            slug: encode(found)
            for slug, found in fresh.items()
            if self._is_due(slug, found, hanging, now)
        }
        await self._board.put(news)
        # last: who sees it may rely on the entries
        await self._board.put(self._pulse(hanging, now))
        gone = hanging.keys() - plans.keys() - {PULSE_KEY, ORPHANS_KEY}
        if gone:
            await self._board.take_down(set(gone))
        # After the bucket took them: what could not be written is due again at the next look.
        self._written_at |= dict.fromkeys(news, now)
        return len(news)

    def _is_due(
        self, slug: str, fresh: ObservedTenant, hanging: Mapping[str, bytes], now: float
    ) -> bool:
        entry = hanging.get(slug)
        if entry is not None and entry == encode(fresh):
            return False
        if now - self._written_at.get(slug, 0.0) >= self._apart_s:
            return True
        return _urgent(entry) != fresh.urgent

    @staticmethod
    def _pulse(hanging: Mapping[str, bytes], now: float) -> dict[str, bytes]:
        try:
            last = decode_pulse(hanging.get(PULSE_KEY, b"")).at
        except UnknownStatusVersion:
            last = 0
        # a few seconds early, so that the rhythm of looks makes no pulse a whole look late
        return {PULSE_KEY: encode(Pulse(at=int(now)))} if abs(now - last) >= PULSE_S - 5 else {}


def _urgent(entry: bytes | None) -> object:
    try:
        return None if entry is None else decode(entry).urgent
    except UnknownStatusVersion:
        return None
