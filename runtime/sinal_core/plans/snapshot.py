"""All tenants' plans at one moment, with the look-ups that rooms need. Immutable.

Keys and tokens are looked up by their SHA-256, as plans hold them: comparing hashes in a dictionary
takes the same time whether a token is right or nearly right. Where two tenants claim the same host
or key, the first by slug has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeVar

import msgspec

from sinal_core.nats.lane import Lane, dispatch_lane, match_lane
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.plan import FunnelPlan, IntegrationPlan, TenantPlan

T = TypeVar("T")


def sha256(text: str) -> str:
    """A key or token given in clear as plans hold it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _host(text: str) -> str:
    """Host name without port and final dot, lower case."""
    name = text.strip().lower()
    if name.startswith("["):  # an IPv6 literal
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].rstrip(".")


def _first(pairs: Iterable[tuple[str, T]]) -> Mapping[str, T]:
    found: dict[str, T] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return MappingProxyType(found)


class SlugHolder(msgspec.Struct, frozen=True):
    """The Tenant whose rows are under a slug, by namespace/name.

    `leaving` while they are being removed.
    """

    home: str
    leaving: bool = False


class HeldPlan(msgspec.Struct, frozen=True):
    """A plan that nobody works by: the rows under its slug are another Tenant's."""

    plan: TenantPlan
    owner: SlugHolder


class Snapshot:
    """What the runtime knows of all tenants.

    A host that is `reserved` leads to none, whatever an older plan says.

    Plans that are `held` are none of its tenants.
    """

    __slots__ = ("_hosts", "_public_keys", "_server_keys", "_tokens", "held", "tenants")

    def __init__(
        self,
        plans: Iterable[TenantPlan] = (),
        *,
        reserved: ReservedHosts = NOTHING_RESERVED,
        held: Mapping[str, HeldPlan] | None = None,
    ) -> None:
        self.held: Mapping[str, HeldPlan] = MappingProxyType(dict(held or {}))
        ordered = sorted(plans, key=lambda plan: plan.slug)
        self.tenants: Mapping[str, TenantPlan] = MappingProxyType(
            {plan.slug: plan for plan in ordered}
        )
        funnels = [(plan, funnel) for plan in ordered for funnel in plan.funnels]
        self._hosts = _first(
            (_host(host), plan) for plan in ordered for host in plan.hosts if host not in reserved
        )
        self._public_keys = _first(
            (key, (plan, funnel))
            for plan, funnel in funnels
            for key in (funnel.public_key, *funnel.earlier_public_keys)
        )
        self._server_keys = _first(
            (digest, (plan, funnel))
            for plan, funnel in funnels
            for digest in (funnel.server_key_sha256, *funnel.earlier_server_keys_sha256)
        )
        self._tokens = _first(
            (digest, (plan, one))
            for plan in ordered
            for one in plan.integrations
            for digest in (one.token_sha256, *one.earlier_tokens_sha256)
        )

    def by_host(self, host: str) -> TenantPlan | None:
        """The tenant whose first-party host this is; takes a Host header as it came."""
        return self._hosts.get(_host(host))

    def by_public_key(self, key: str) -> tuple[TenantPlan, FunnelPlan] | None:
        """The funnel of a public key (fk_…)."""
        return self._public_keys.get(key)

    def by_server_key(self, key: str) -> tuple[TenantPlan, FunnelPlan] | None:
        """The funnel of a server key (sk_…), given in clear."""
        return self._server_keys.get(sha256(key))

    def by_token(self, token: str) -> tuple[TenantPlan, IntegrationPlan] | None:
        """The integration of a webhook URL's token, given in clear."""
        return self._tokens.get(sha256(token))

    def lanes(self, role: Literal["match", "dispatch"]) -> tuple[Lane, ...]:
        """Every lane of a role.

        Suspended tenants too, because what they have accepted must come to an end.
        """
        if role == "match":
            return tuple(match_lane(slug) for slug in self.tenants)
        return tuple(
            dispatch_lane(
                plan.slug,
                destination.name,
                batch=destination.batch.max_events,
                linger_s=destination.batch.max_age_ms / 1_000,
                concurrency=destination.rate_limit.concurrency,
            )
            for plan in self.tenants.values()
            for destination in plan.destinations
        )
