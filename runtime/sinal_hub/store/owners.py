"""Whose a slug's rows are.

A slug may be taken by another Tenant; the rows under it stay their owner's.

Invariant: the owner changes only by `hand_over`, or when the rows were purged. Until then a Tenant
that took the slug is a claimant: nothing of it is stored or sent, and no key of the tenant is good.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Database
from sinal_crds.plan import TenantPlan
from sinal_hub.store.audit import AuditEntry, write_audit

_SQL = queries.load("sinal_hub.store", "owners")
_json = msgspec.json.Encoder().encode


class HandedOver(msgspec.Struct, kw_only=True, frozen=True):
    """Whose the rows were and are: namespace/name and UID."""

    from_home: str
    to_home: str
    from_owner: str
    to_owner: str


class OwnerStore:
    """Every method raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, plans: Sequence[TenantPlan]) -> dict[str, str]:
        """Claim the plans' slugs.

        Returns those that are another Tenant's, with its namespace/name.
        """
        claims = [
            {
                "id": plan.slug,
                "name": plan.name,
                "uid": plan.uid,
                "home": home(plan.namespace, plan.name),
            }
            for plan in plans
        ]
        slugs = [plan.slug for plan in plans]
        heirs = [
            {
                "id": plan.slug,
                "home": home(plan.namespace, plan.name),
                "legacy": home(plan.namespace, plan.heir_of),
            }
            for plan in plans
            if plan.heir_of
        ]
        async with self._database.transaction() as connection:
            # Before the claim, which would take an heir for a stranger and let it wait for its own
            # rows.
            if heirs:
                await connection.execute(_SQL["inherit"], {"plans": _json(heirs).decode()})
            await connection.execute(_SQL["claim"], {"plans": _json(claims).decode()})
            await connection.execute(_SQL["adopt_keys"], {"slugs": slugs})
            taken = await (await connection.execute(_SQL["standing"], {"slugs": slugs})).fetchall()
        return {row["id"]: row["home"] for row in taken}

    async def hand_over(self, slug: str, audit: AuditEntry) -> HandedOver | None:
        """Give the rows to the Tenant that claims the slug; None where none does."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_SQL["hand_over"], {"slug": slug})).fetchone()
            if row is None:
                return None
            done = HandedOver(**row)
            detail = audit.detail | msgspec.structs.asdict(done)
            await write_audit(connection, msgspec.structs.replace(audit, detail=detail))
        return done


def home(namespace: str, name: str) -> str:
    """A Tenant by namespace and name, as the rows keep it."""
    return f"{namespace}/{name}"
