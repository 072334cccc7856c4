"""Figures of one tenant over a window that ends now.

Every statement runs under its row-level security.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database

_SQL = queries.load("sinal_hub.store", "tenant_stats")


class OutcomeCount(msgspec.Struct, kw_only=True, frozen=True):
    """How many events of a kind ended so."""

    kind: str
    state: str
    reason: str | None
    events: int


class Latency(msgspec.Struct, kw_only=True, frozen=True):
    """Seconds from received to delivered, of first deliveries; null without any."""

    p50: float | None
    p95: float | None
    deliveries: int


class DestinationCount(msgspec.Struct, kw_only=True, frozen=True):
    """How many deliveries of a destination stand where."""

    destination: str
    state: str
    events: int
    last_settled_at: datetime | None


class CoverageRow(msgspec.Struct, kw_only=True, frozen=True):
    """How many conversions of a Meta event carry each signal."""

    event_name: str
    conversions: int
    em: int
    ph: int
    fn: int
    ln: int
    ct: int
    st: int
    zp: int
    country: int
    external_id: int
    fbc: int
    fbp: int
    ip_and_user_agent: int


class PairingRow(msgspec.Struct, kw_only=True, frozen=True):
    """How many sent events of a kind and source carry an id of the browser's."""

    kind: str
    source: str
    events: int
    paired: int


class Figures(msgspec.Struct, kw_only=True, frozen=True):
    """What a summary is made of."""

    outcomes: list[OutcomeCount]
    decisions: dict[str, int]
    latency: Latency
    destinations: list[DestinationCount]
    last_event_at: datetime | None


class TenantStatsStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(self, tenant: str, *, window_s: float) -> Figures:
        """Everything of a summary, of one moment."""
        values = {"tenant": tenant, "window_s": window_s}
        async with self._database.transaction(tenant=tenant) as connection:
            outcomes = await (await connection.execute(_SQL["outcomes"], values)).fetchall()
            decisions = await (await connection.execute(_SQL["decisions"], values)).fetchall()
            latency = await (await connection.execute(_SQL["latency"], values)).fetchone()
            destinations = await (await connection.execute(_SQL["destinations"], values)).fetchall()
            last = await (await connection.execute(_SQL["last_event"], values)).fetchone()
        return Figures(
            outcomes=[OutcomeCount(**row) for row in outcomes],
            decisions={row["decision"]: row["sales"] for row in decisions},
            latency=Latency(**(latency or {"p50": None, "p95": None, "deliveries": 0})),
            destinations=[DestinationCount(**row) for row in destinations],
            last_event_at=last["at"] if last else None,
        )

    async def coverage(self, tenant: str, *, window_s: float) -> list[CoverageRow]:
        """Signals of conversions by Meta event."""
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(
                _SQL["coverage"], {"tenant": tenant, "window_s": window_s}
            )
            return [CoverageRow(**row) for row in await found.fetchall()]

    async def pairing(self, tenant: str, *, window_s: float) -> list[PairingRow]:
        """Ids shared with the browser, by kind and source."""
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(
                _SQL["pairing"], {"tenant": tenant, "window_s": window_s}
            )
            return [PairingRow(**row) for row in await found.fetchall()]
