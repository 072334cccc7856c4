"""What people ask of their data: erasures on their way, the marks that matching obeys, consent
withdrawn.

A mark is set while no batch of matching runs for the tenant, so every fact is either in the tables
already, where the work that follows finds it, or meets the mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.model.events import Forget
from sinal_hub.store import personal_data
from sinal_hub.store.audit import AuditEntry, write_audit

_SQL = queries.load("sinal_hub.store", "privacy")
_LOCK = queries.load("sinal_hub.store", "personal_data")["shut_out"]
# gateways repeat for days, streams keep seven, a spool may have been switched off
MARKED_FOR = timedelta(days=30)


class NewErasure(msgspec.Struct, kw_only=True, frozen=True):
    """Who is to be forgotten, and who asks; `keys` are marks."""

    id: str
    subject: Forget
    keys: list[str]
    audit: AuditEntry


class Erasure(msgspec.Struct, kw_only=True, frozen=True):
    """How far an erasure is; `counts` are rows and messages by where they were."""

    id: str
    tenant: str
    requested_at: datetime
    state: Literal["waiting", "done"]
    counts: dict[str, int]
    tries: int
    problem: str | None
    finished_at: datetime | None


class PendingErasure(msgspec.Struct, kw_only=True, frozen=True):
    """An erasure to be done."""

    id: str
    tenant: str
    requested_at: datetime
    actor: str
    role: str
    subject: Forget
    keys: list[str]


class Traces(msgspec.Struct, kw_only=True, frozen=True):
    """Whose consent changes: digests, click ids, customer ids in clear; `keys` are marks."""

    tenant: str
    keys: list[str]
    emails: list[str] = []
    phones: list[str] = []
    clicks: list[str] = []
    externals: list[str] = []
    digests: list[str] = []  # of anything that payloads carry hashed


class PrivacyStore:
    """Every method raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request(self, new: NewErasure) -> datetime:
        """Take an erasure on: from now on matching drops what was queued of this person.

        Returns the time.
        """
        subject = new.subject
        values = {
            "id": new.id,
            "tenant": subject.tenant,
            "actor": new.audit.actor,
            "role": new.audit.role,
            "subject": msgspec.json.encode(subject).decode(),
            "keys": new.keys,
        }
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, {"tenant": subject.tenant})
            row = await (await connection.execute(_SQL["add_erasure"], values)).fetchone()
            at: datetime = (row or {})["requested_at"]
            await _mark(connection, subject.tenant, new.keys, "erased", at, at + MARKED_FOR)
            await write_audit(connection, new.audit)
        return at

    async def gateways_of(self, tenant: str, order: str) -> list[str]:
        """Gateways of which an order has this number, by name."""
        async with self._database.transaction(tenant=tenant) as connection:
            found = await connection.execute(
                _SQL["gateways_of"], {"tenant": tenant, "order": order}
            )
            return [row["gateway"] for row in await found.fetchall()]

    async def erasure(self, tenant: str | None, erasure_id: str) -> Erasure | None:
        """One erasure of the tenant, or of any."""
        async with self._database.autocommit() as connection:
            row = await (
                await connection.execute(_SQL["erasure"], {"id": erasure_id, "tenant": tenant})
            ).fetchone()
        return (
            None if row is None else Erasure(**row | {"counts": msgspec.json.decode(row["counts"])})
        )

    async def waiting(self, *, limit: int = 100) -> list[PendingErasure]:
        """Erasures to be done, oldest first."""
        async with self._database.autocommit() as connection:
            found = await (await connection.execute(_SQL["waiting"], {"limit": limit})).fetchall()
        return [
            PendingErasure(**row | {"subject": msgspec.json.decode(row["subject"], type=Forget)})
            for row in found
        ]

    async def count_waiting(self) -> int:
        """How many erasures are to be done."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_SQL["count_waiting"])).fetchone()
        return int((row or {})["waiting"])

    async def mark(self, waiting: PendingErasure, keys: Sequence[str]) -> None:
        """Mark what was found of a person too: browsers, sessions, orders."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, {"tenant": waiting.tenant})
            at = waiting.requested_at
            await _mark(connection, waiting.tenant, keys, "erased", at, at + MARKED_FOR)

    async def finish(self, waiting: PendingErasure, elsewhere: dict[str, int]) -> dict[str, int]:
        """Take the person out of every table and close the erasure, all or nothing.

        Returns all counts.
        """
        async with self._database.transaction() as connection:
            counts = await personal_data.erase(connection, waiting.subject) | elsewhere
            await connection.execute(
                _SQL["done"], {"id": waiting.id, "counts": msgspec.json.encode(counts).decode()}
            )
            entry = AuditEntry(
                tenant=waiting.tenant,
                actor=waiting.actor,
                role=waiting.role,
                action="privacy.erased",
                target=waiting.id,
                detail={"keys": waiting.keys, "counts": counts},
            )
            await write_audit(connection, entry)
        return counts

    async def failed(self, erasure_id: str, problem: str) -> None:
        """Note that it did not work this time."""
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["failed"], {"id": erasure_id, "problem": problem})

    async def consent(
        self, traces: Traces, *, granted: bool, at: datetime, audit: AuditEntry
    ) -> dict[str, int]:
        """Give or withdraw consent to ads from now on; withdrawing stops what waits.

        Returns rows by table.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, {"tenant": traces.tenant})
            if granted:
                values = {"tenant": traces.tenant, "kind": "no_consent", "keys": traces.keys}
                await connection.execute(_SQL["drop_marks"], values)
            else:
                # A withdrawal has no end: it holds until the person says otherwise.
                await _mark(connection, traces.tenant, traces.keys, "no_consent", at, None)
            counts = await _apply(connection, traces, granted=granted)
            await write_audit(
                connection, msgspec.structs.replace(audit, detail=audit.detail | {"counts": counts})
            )
        return counts


async def _apply(connection: Connection, traces: Traces, *, granted: bool) -> dict[str, int]:
    tenant = traces.tenant
    values: dict[str, Any] = msgspec.structs.asdict(traces)
    values["external_keys"] = [f"{tenant}|{external}" for external in traces.externals]
    values["patterns"] = [f"%{digest}%" for digest in traces.digests]
    found = await (await connection.execute(_SQL["people"], values)).fetchone()
    values |= {
        "orders": (found or {})["orders"],
        "clicks": (found or {})["clicks"],
        "consent": granted,
    }
    # As the index over clicks writes them: with the tenant, and in small letters.
    values["click_keys"] = [f"{tenant}|{click.lower()}" for click in values["clicks"]]
    statements = {"clicks": "word_of_clicks"}
    if not granted:
        statements |= {"events": "withdraw_events", "capi_events": "withdraw_deliveries"}
    return {
        table: (await connection.execute(_SQL[name], values)).rowcount
        for table, name in statements.items()
    }


async def _mark(
    connection: Connection,
    tenant: str,
    keys: Sequence[str],
    kind: str,
    at: datetime,
    expires_at: datetime | None,
) -> None:
    values = {
        "tenant": tenant,
        "keys": list(keys),
        "kind": kind,
        "at": at,
        "expires_at": expires_at,
    }
    await connection.execute(_SQL["add_marks"], values)
