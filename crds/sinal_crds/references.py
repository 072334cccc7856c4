"""How objects fit together: which tenant owns what, which references lead nowhere, who came first.

Pure, and the same for files and for a cluster: who works already keeps what it has (`Holdings`); of
others the oldest object wins, by creation time, which has whole seconds, then in the order given.
Invariant: every object is either in a `Resolved` tenant or has a problem that says why it is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.loading import ObjectKey, Objects
from sinal_crds.models import Destination, Funnel, GatewayIntegration, Manifest, Tenant

DEFAULT_TIMEZONE = "America/Sao_Paulo"

# Reasons of problems: CamelCase constants, as conditions want them.
SLUG_TAKEN: Final = "SlugTaken"
HOST_TAKEN: Final = "HostTaken"
HOST_RESERVED: Final = "HostReserved"
TIMEZONE_UNKNOWN: Final = "TimezoneUnknown"
TENANT_NOT_FOUND: Final = "TenantNotFound"
DESTINATION_NOT_FOUND: Final = "DestinationNotFound"
FUNNEL_NOT_FOUND: Final = "FunnelNotFound"
TENANT_MISMATCH: Final = "TenantMismatch"
SECRET_NOT_FOUND: Final = "SecretNotFound"  # noqa: S105 - a reason, no secret
SECRET_KEY_MISSING: Final = "SecretKeyMissing"  # noqa: S105 - a reason, no secret
SECRET_MALFORMED: Final = "SecretMalformed"  # noqa: S105 - a reason, no secret; found in a cluster only
SECRET_REASONS: Final = frozenset({SECRET_NOT_FOUND, SECRET_KEY_MISSING})

_Owned = TypeVar("_Owned", Destination, Funnel, GatewayIntegration)


@dataclass(frozen=True)
class ReferenceProblem:
    """Why an object does not work as declared, for its conditions and for a person."""

    kind: str
    namespace: str
    name: str
    field: str  # path such as spec.tenantRef
    reason: str
    message: str
    target: ObjectKey | None = None  # what it refers to in vain

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}: {self.field}: {self.message}"


def problem(
    manifest: Manifest, field: str, reason: str, message: str, *, target: str = ""
) -> ReferenceProblem:
    """A problem of that object.

    `target` is `Kind name` of the one in its namespace that it refers to in vain.
    """
    kind, _, name = target.partition(" ")
    key = (kind, manifest.namespace, name) if target else None
    return ReferenceProblem(
        manifest.kind, manifest.namespace, manifest.name, field, reason, message, key
    )


@dataclass(frozen=True)
class Holdings:
    """What the runtime has already, and the UID of the Tenant whose it is: no other Tenant takes
    it.
    """

    slugs: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)


NOTHING_HELD = Holdings()


@dataclass(frozen=True)
class Resolved:
    """One tenant with everything that is its own, each sorted by name."""

    tenant: Tenant
    hosts: tuple[str, ...]
    timezone: str
    destinations: tuple[Destination, ...]
    funnels: tuple[Funnel, ...]
    integrations: tuple[GatewayIntegration, ...]
    # what of the declared references can be used; the rest has a problem
    funnel_destinations: dict[str, tuple[str, ...]]
    integration_problems: dict[str, ReferenceProblem]


def resolve(
    objects: Objects, reserved: ReservedHosts = NOTHING_RESERVED, held: Holdings = NOTHING_HELD
) -> tuple[list[Resolved], list[ReferenceProblem]]:
    """Tenants in the order of their slugs, and what does not fit."""
    problems: list[ReferenceProblem] = []
    tenants = _unique_slugs(objects.tenants, held, problems)
    known = {(t.namespace, t.name) for t in tenants}
    losers = {(t.namespace, t.name) for t in objects.tenants} - known
    destinations = _owned(objects.destinations, known, losers, problems)
    funnels = _owned(objects.funnels, known, losers, problems)
    integrations = _owned(objects.integrations, known, losers, problems)
    hosts = _own_hosts(tenants, reserved, held, problems)
    resolved = []
    for tenant in sorted(tenants, key=lambda t: t.slug):
        key = (tenant.namespace, tenant.name)
        own_funnels = funnels[key]
        resolved.append(
            Resolved(
                tenant=tenant,
                hosts=hosts[key],
                timezone=_timezone(tenant, problems),
                destinations=tuple(destinations[key]),
                funnels=tuple(own_funnels),
                integrations=tuple(integrations[key]),
                funnel_destinations=_destinations_of(
                    own_funnels, destinations[key], objects.destinations, problems
                ),
                integration_problems=_lost(
                    integrations[key], own_funnels, objects.funnels, problems
                ),
            )
        )
    return resolved, problems


def _age(tenant: Tenant) -> str:
    # RFC 3339 in UTC sorts as text; what has none is newest
    return tenant.metadata.creation_timestamp or "9999"


def _unique_slugs(
    tenants: Sequence[Tenant], held: Holdings, problems: list[ReferenceProblem]
) -> list[Tenant]:
    def rank(tenant: Tenant) -> tuple[bool, str]:
        return not _has(tenant, held.slugs.get(tenant.slug)), _age(tenant)

    first: dict[str, Tenant] = {}
    for tenant in sorted(tenants, key=rank):
        winner = first.setdefault(tenant.slug, tenant)
        if winner is not tenant:
            field = "spec.slug" if tenant.spec.slug else "metadata.name"
            message = (
                f"slug {tenant.slug} is taken by Tenant {winner.namespace}/{winner.name}; "
                "set another spec.slug"
            )
            problems.append(problem(tenant, field, SLUG_TAKEN, message))
    # By age, because hosts are given out in this order.
    return sorted(first.values(), key=_age)


def _has(tenant: Tenant, holder: str | None) -> bool:
    return holder is not None and tenant.metadata.uid == holder


def _own_hosts(
    tenants: list[Tenant], reserved: ReservedHosts, held: Holdings, problems: list[ReferenceProblem]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Each tenant's hosts without the platform's own and without those that another had before."""
    owner = {
        host: t for t in tenants for host in t.spec.ingest.hosts if _has(t, held.hosts.get(host))
    }
    hosts: dict[tuple[str, str], tuple[str, ...]] = {}
    for tenant in tenants:
        own = []
        for index, host in enumerate(tenant.spec.ingest.hosts):
            field = f"spec.ingest.hosts[{index}]"
            if host in reserved:
                message = f"{host} is the platform's own host, which all tenants share; remove it"
                problems.append(problem(tenant, field, HOST_RESERVED, message))
                continue
            winner = owner.setdefault(host, tenant)
            if winner is tenant:
                own.append(host)
            else:
                message = (
                    f"{host} belongs to Tenant {winner.namespace}/{winner.name}; a host has "
                    "one tenant, remove it"
                )
                problems.append(problem(tenant, field, HOST_TAKEN, message))
        hosts[tenant.namespace, tenant.name] = tuple(own)
    return hosts


def _timezone(tenant: Tenant, problems: list[ReferenceProblem]) -> str:
    # holds even where no time zone database is installed
    if tenant.spec.timezone == DEFAULT_TIMEZONE:
        return DEFAULT_TIMEZONE
    try:
        return ZoneInfo(tenant.spec.timezone).key
    except (KeyError, ValueError, OSError):  # unknown name, bad name, a folder's name
        message = (
            f"{tenant.spec.timezone} is not an IANA time zone; {DEFAULT_TIMEZONE} is used "
            "until it is one"
        )
        problems.append(problem(tenant, "spec.timezone", TIMEZONE_UNKNOWN, message))
        return DEFAULT_TIMEZONE


def _owned(
    items: Iterable[_Owned],
    known: set[tuple[str, str]],
    losers: set[tuple[str, str]],
    problems: list[ReferenceProblem],
) -> dict[tuple[str, str], list[_Owned]]:
    """Objects by tenant; one whose tenant is not there gets a problem."""
    by_tenant: dict[tuple[str, str], list[_Owned]] = defaultdict(list)
    for item in sorted(items, key=lambda i: i.name):
        key = (item.namespace, item.spec.tenant_ref)
        if key in known:
            by_tenant[key].append(item)
        else:
            why = (
                "has no plan, because its slug is taken"
                if key in losers
                else "does not exist in this namespace"
            )
            message = f"Tenant {key[1]} {why}; create it, or correct the reference"
            problems.append(
                problem(
                    item, "spec.tenantRef", TENANT_NOT_FOUND, message, target=f"Tenant {key[1]}"
                )
            )
    return by_tenant


def _destinations_of(
    funnels: list[Funnel],
    own: list[Destination],
    everyone: Iterable[Destination],
    problems: list[ReferenceProblem],
) -> dict[str, tuple[str, ...]]:
    names = {d.name for d in own}
    result = {}
    for funnel in funnels:
        refs = funnel.spec.destination_refs
        for index, name in enumerate(refs):
            if name not in names:
                field = f"spec.destinationRefs[{index}]"
                problems.append(
                    _dangling(funnel, field, "Destination", name, everyone, DESTINATION_NOT_FOUND)
                )
        result[funnel.name] = tuple(name for name in refs if name in names)
    return result


def _lost(
    integrations: list[GatewayIntegration],
    own: list[Funnel],
    everyone: Iterable[Funnel],
    problems: list[ReferenceProblem],
) -> dict[str, ReferenceProblem]:
    """Problems of integrations whose funnel can't be used, by the integration's name."""
    names = {f.name for f in own}
    lost = {
        i.name: _dangling(
            i, "spec.funnelRef", "Funnel", i.spec.funnel_ref, everyone, FUNNEL_NOT_FOUND
        )
        for i in integrations
        if i.spec.funnel_ref not in names
    }
    problems.extend(lost.values())
    return lost


def _dangling(
    item: Funnel | GatewayIntegration,
    field: str,
    kind: str,
    name: str,
    everyone: Iterable[Destination | Funnel],
    reason: str,
) -> ReferenceProblem:
    owner = next(
        (o.spec.tenant_ref for o in everyone if (o.namespace, o.name) == (item.namespace, name)),
        None,
    )
    if owner is None or owner == item.spec.tenant_ref:
        message = (
            f"{kind} {name} does not exist in this namespace; create it, or correct the reference"
        )
        return problem(item, field, reason, message, target=f"{kind} {name}")
    message = (
        f"{kind} {name} belongs to Tenant {owner}, not {item.spec.tenant_ref}; refer to one "
        "of the same tenant"
    )
    return problem(item, field, TENANT_MISMATCH, message)
