"""Figures over all tenants that metrics show; they hold counts, never a person."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "signal_coverage")


class SignalCounts(msgspec.Struct, kw_only=True, frozen=True):
    """How many of a tenant's conversions carry each signal.

    The words are those of the operations API.
    """

    tenant: str
    conversions: int
    em: int
    ph: int
    fbc: int
    fbp: int
    click_id: int
    ip_and_user_agent: int

    @property
    def ratios(self) -> dict[str, float]:
        """Share of the conversions by signal, from 0 to 1."""
        counts = msgspec.structs.asdict(self)
        return {signal: counts[signal] / self.conversions for signal in SIGNALS}


SIGNALS = tuple(
    name for name in SignalCounts.__struct_fields__ if name not in ("tenant", "conversions")
)


class SignalCoverageStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def coverage(self, *, since: datetime) -> list[SignalCounts]:
        """Signals of the conversions that were made Meta events since then, by tenant."""
        async with self._database.transaction() as connection:
            found = await connection.execute(_SQL["coverage"], {"since": since})
            return [SignalCounts(**row) for row in await found.fetchall()]
