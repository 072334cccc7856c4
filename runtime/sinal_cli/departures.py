"""Tenants whose manifests are gone: they go on for a while, so that a moved file or a wrong
checkout ends no webhooks.

Who is known is kept in a file, where there is one, so that a tenant whose manifest went away while
nobody looked departs the same way. Invariant: a tenant that is declared again in time has never
been away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from sinal_cli.data_folder import write_private
from sinal_crds.loading import ObjectKey
from sinal_crds.plan import TenantPlan
from sinal_operator.provision import Retired


class DepartingTenant(NamedTuple):
    """A tenant on its way out."""

    tenant: Retired
    ends_at: float  # of the clock

    @property
    def key(self) -> ObjectKey:
        """Its Tenant."""
        return "Tenant", self.tenant.namespace, self.tenant.name


class News(NamedTuple):
    """What a look found: slugs."""

    leaving: tuple[str, ...] = ()
    stayed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


class _Known(msgspec.Struct, frozen=True):
    version: int = 1
    tenants: tuple[Retired, ...] = ()


class Departures:
    """Who is there, who is leaving, who is gone."""

    def __init__(
        self,
        grace_s: float = 0.0,
        *,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.grace_s, self._file, self._clock = grace_s, file, clock
        self._known: dict[str, Retired] = {one.slug: one for one in _read(file)}
        self._leaving: dict[str, DepartingTenant] = {}
        self._ended: dict[str, Retired] = {}

    def look(self, plans: Iterable[TenantPlan]) -> News:
        """Take what is declared now."""
        there = {plan.slug: Retired.of(plan) for plan in plans}
        stayed = tuple(slug for slug in self._leaving if slug in there)
        for slug in there:
            self._leaving.pop(slug, None)
            self._ended.pop(slug, None)
        gone = [
            one
            for slug, one in self._known.items()
            if slug not in there.keys() | self._leaving.keys()
        ]
        ends_at = self._clock() + self.grace_s
        self._leaving |= {one.slug: DepartingTenant(one, ends_at) for one in gone}
        # In the file before anything ends: a start in between finds who was known.
        self._remember(there)
        ended = self.due().ended
        return News(tuple(one.slug for one in gone if one.slug in self._leaving), stayed, ended)

    def due(self) -> News:
        """Whose time is over."""
        ended = [one for one in self._leaving.values() if one.ends_at <= self._clock()]
        for one in ended:
            self._ended[one.tenant.slug] = self._leaving.pop(one.tenant.slug).tenant
        if ended:
            self._remember(
                {slug: one for slug, one in self._known.items() if slug not in self._ended}
            )
        return News(ended=tuple(one.tenant.slug for one in ended))

    @property
    def leaving(self) -> tuple[DepartingTenant, ...]:
        """Tenants that still go on."""
        return tuple(self._leaving.values())

    def retired(self) -> tuple[Retired, ...]:
        """Tenants that are gone."""
        return tuple(self._ended.values())

    def _remember(self, there: Mapping[str, Retired]) -> None:
        """Keep who has not ended: those that are there, and those that are leaving."""
        known = {**there, **{slug: one.tenant for slug, one in self._leaving.items()}}
        if known != self._known and self._file is not None:
            write_private(self._file, msgspec.json.encode(_Known(tenants=tuple(known.values()))))
        self._known = known


def _read(file: Path | None) -> tuple[Retired, ...]:
    if file is None or not file.exists():
        return ()
    return msgspec.json.decode(file.read_bytes(), type=_Known).tenants
