"""What a reconciliation found and did, tenant by tenant: the source of conditions on the custom
resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from sinal_crds.plan import TenantPlan

Result = Literal["created", "updated", "unchanged", "foreign", "blocked", "failed", "removed"]
# of a retired tenant: a queue of another owner is none of its own
ENDED: Final = frozenset({"removed", "foreign"})


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that is declared no more, and what is to become of its queue."""

    slug: str
    uid: str
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    namespace: str = ""  # with `name`: whose namesake may have the queue that is retained
    name: str = ""

    @classmethod
    def of(cls, plan: TenantPlan) -> Retired:
        """The retirement of a tenant as its last plan wants it."""
        return cls(
            slug=plan.slug,
            uid=plan.uid,
            deletion_policy=plan.deletion_policy,
            namespace=plan.namespace,
            name=plan.name,
        )


class TenantReport(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant.

    `foreign`: the stream belongs to another owner and was left alone. `blocked`: something can't be
    changed in place, `reasons` say what a person can do. `failed`: the broker refused; the next
    round tries again.
    """

    slug: str
    result: Result
    changes: tuple[str, ...] = ()  # what was written, for people
    reasons: tuple[str, ...] = ()
    stream: str = ""
    messages: int = 0  # stored in the stream when it was looked at
    consumers: tuple[str, ...] = ()
    plan_hash: str = ""

    @property
    def ready(self) -> bool:
        """Whether events of the tenant can flow."""
        return self.result in ("created", "updated", "unchanged")


class Report(msgspec.Struct, frozen=True):
    """One reconciliation: the tenants that were looked at."""

    tenants: Mapping[str, TenantReport]

    def slugs(self, result: Result) -> tuple[str, ...]:
        """The tenants with that result, sorted."""
        return tuple(
            sorted(slug for slug, report in self.tenants.items() if report.result == result)
        )

    @property
    def changes(self) -> tuple[str, ...]:
        """Everything that was written."""
        return tuple(change for report in self.tenants.values() for change in report.changes)
