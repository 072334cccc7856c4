"""Who asks a service for something, and what that caller sees.

Invariant: a caller of a tenant never reaches past it: every use-case asks `scope` for the tenant to
work on, and the store binds the transaction to it by row-level security.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sinal_crds.plan import TenantPlan
from sinal_hub.services.errors import Forbidden, Invalid, NotFound
from sinal_hub.services.ports import Plans
from sinal_hub.store.api_keys import Role
from sinal_hub.store.audit import AuditEntry

RANK: dict[Role, int] = {"viewer": 1, "operator": 2, "admin": 3}


class Caller(msgspec.Struct, kw_only=True, frozen=True):
    """Who calls: `actor` is the id of a key, never the key."""

    actor: str
    role: Role
    tenant: str | None

    def needs(self, role: Role) -> None:
        """Raise Forbidden for a caller of a lesser role."""
        if RANK[self.role] < RANK[role]:
            raise Forbidden(f"this needs a key of role {role}; yours is of role {self.role}")

    def scope(self, wanted: str | None) -> str | None:
        """The tenant to work on; raises NotFound for one that this caller must not know of."""
        if self.tenant is None or wanted is None or wanted == self.tenant:
            return self.tenant or wanted
        # Not Forbidden, which would say that this tenant exists.
        raise no_tenant(wanted)

    def entry(
        self, action: str, target: str, *, tenant: str | None = None, **detail: Any
    ) -> AuditEntry:
        """What is written down of a change by this caller."""
        return AuditEntry(
            tenant=tenant or self.tenant,
            actor=self.actor,
            role=self.role,
            action=action,
            target=target,
            detail=detail,
        )

    def plan(self, plans: Plans, wanted: str | None) -> TenantPlan:
        """The plan of the one tenant to work on.

        Raises NotFound, and Invalid where none is named.
        """
        slug = self.scope(wanted)
        if slug is None:
            raise Invalid("tenant: is required with a key of the platform")
        plan: TenantPlan | None = plans.snapshot.tenants.get(slug)
        if plan is None:
            raise no_tenant(slug)
        return plan


def no_tenant(slug: str) -> NotFound:
    """The error of a tenant that is not there, or not the caller's."""
    return NotFound(f"no tenant {slug[:64]!r}")
