"""Held matches: finding one under row-level security, and the transaction in which a person's word
takes effect.

The order is locked before its match is read, as matching does, so that two people, or a person and
a late click, decide one after the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_core.postgres.shared_transaction import DirectQueue
from sinal_hub.store.audit import AuditEntry, write_audit
from sinal_hub.store.matching import MatchTransaction, enter
from sinal_hub.store.matching_rows import MatchRow
from sinal_hub.store.reading import MatchDetail

_SQL = queries.load("sinal_hub.store", "review")


class HeldSale(msgspec.Struct, kw_only=True, frozen=True):
    """A sale and the order whose match is in question."""

    id: str
    tenant: str
    conversion_id: int
    outcome: str
    reason: str | None
    funnel: str


class ReviewTransaction:
    """One decision about one order, which is locked."""

    def __init__(self, connection: Connection, held: HeldSale) -> None:
        self._connection, self._held = connection, held
        self.matching = MatchTransaction(held.tenant, DirectQueue(connection))

    async def match(self) -> MatchDetail | None:
        """The match as it stands."""
        values = {"conversion": self._held.conversion_id, "tenant": self._held.tenant}
        row = await (await self._connection.execute(_SQL["match_of"], values)).fetchone()
        return None if row is None else msgspec.json.decode(row["explanation"], type=MatchDetail)

    async def decide(self, match: MatchDetail, audit: AuditEntry) -> None:
        """Put a person's word over the score: as sure as can be, so that no later evidence turns
        it.
        """
        row = MatchRow(
            conversion_id=self._held.conversion_id,
            click_id=match.click_id,
            decision=match.decision,
            score=1.0,
            rule=match.rule,
            explanation=msgspec.Raw(msgspec.json.encode(match)),
        )
        await self.matching.save_matches([row])
        await write_audit(self._connection, audit)

    async def drop(self) -> None:
        """Nothing of this order that was held is sent."""
        values: dict[str, Any] = {
            "conversion": self._held.conversion_id,
            "tenant": self._held.tenant,
        }
        await self._connection.execute(_SQL["drop_held"], values)


class ReviewStore:
    """Every method raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str | None, event_id: str) -> HeldSale | None:
        """A sale of the tenant, or of any; None when there is none."""
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(_SQL["held"], {"id": event_id, "tenant": tenant})
            row = await found.fetchone()
        return None if row is None else HeldSale(**row)

    @asynccontextmanager
    async def transaction(self, held: HeldSale) -> AsyncIterator[ReviewTransaction]:
        """The order locked, as the worker."""
        async with self._database.transaction() as connection:
            review = ReviewTransaction(connection, held)
            await enter(connection, [held.tenant])
            await review.matching.lock_orders([held.conversion_id])
            yield review
