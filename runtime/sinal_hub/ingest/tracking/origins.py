"""Which pages may post: landing hosts of funnels against the browser's Origin or Referer.

`*.example.com` stands for every name below example.com, not for example.com itself. Ports and
schemes are not compared: a landing host is declared as a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.intake.ports import Snapshot

_ORIGIN = re.compile(r"https?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class HostSet:
    """Host names and wildcards."""

    def __init__(self, patterns: Iterable[str]) -> None:
        names = [pattern.strip().lower().rstrip(".") for pattern in patterns]
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._parents = frozenset(name[2:] for name in names if name.startswith("*."))

    def __contains__(self, host: object) -> bool:
        if not isinstance(host, str) or not host:
            return False
        if host in self._exact:
            return True
        if not self._parents:
            return False
        labels = host.split(".")
        return any(".".join(labels[at:]) in self._parents for at in range(1, len(labels)))


class LandingHosts:
    """Landing hosts by funnel, by tenant and over all, worked out once a snapshot."""

    def __init__(self) -> None:
        self._of: Snapshot | None = None
        self._sets: dict[tuple[str, str], HostSet] = {}

    def of_funnel(self, snapshot: Snapshot, tenant: TenantPlan, funnel: FunnelPlan) -> HostSet:
        """Where one funnel's public key may be used."""
        return self._cached(snapshot, (tenant.slug, funnel.name), lambda: [funnel])

    def of_tenant(self, snapshot: Snapshot, tenant: TenantPlan) -> HostSet:
        """Every landing host of one tenant."""
        return self._cached(snapshot, (tenant.slug, ""), lambda: tenant.funnels)

    def of_all(self, snapshot: Snapshot) -> HostSet:
        """Every landing host there is, for requests that name no tenant before their body."""
        return self._cached(
            snapshot, ("", ""), lambda: [f for t in snapshot.tenants.values() for f in t.funnels]
        )

    def _cached(
        self, snapshot: Snapshot, key: tuple[str, str], funnels: Callable[[], Iterable[FunnelPlan]]
    ) -> HostSet:
        if snapshot is not self._of:
            self._of, self._sets = snapshot, {}
        if (found := self._sets.get(key)) is None:
            found = self._sets[key] = HostSet(
                host for funnel in funnels() for host in funnel.landing_hosts
            )
        return found


def host_of_origin(origin: str) -> str:
    """The lower-case host name of an Origin header.

    Empty for `null`, other schemes and what is not an origin.
    """
    found = _ORIGIN.fullmatch(origin)
    return found["host"].lower().rstrip(".") if found else ""


def may_be_named(origin: str) -> bool:
    """Whether it has the form of a page's Origin, `null` too, so that an answer's header may repeat
    it.
    """
    return origin == "null" or bool(host_of_origin(origin))


def host_of_url(address: str) -> str:
    """The lower-case host name of a page's URL; empty for other schemes and nonsense."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return ""
    # RFC 9110, 10.1.3: a Referer has no user; browsers take a backslash for a slash, so the host
    # would be another
    if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
        return ""
    return host.rstrip(".")
