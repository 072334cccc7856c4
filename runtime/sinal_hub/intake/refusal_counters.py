"""Counts of refused deliveries, told to housekeeping with the other tallies, and a line of the log
now and then.

Whoever sends refused deliveries all day fills nothing: a group has room for `MOST_NETWORKS`
senders, the others are counted together; groups of integrations are as many as plans allow, groups
of nobody's URLs `MOST_STRANGERS`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import structlog

from sinal_core.aio.clock import WallClock
from sinal_hub.intake.refusal import Refusal
from sinal_hub.model.events import Refused

log = structlog.get_logger(__name__)

HOUR_S = 3_600
MOST_NETWORKS = 8  # of one group in one hour
MOST_STRANGERS = 1_000  # groups of URLs that are of no integration, in one hour
LOG_EVERY_S = 60.0  # a line for each reason of an integration, and one for all strangers together

Group = tuple[Refusal, int]  # without its network; hour


class _Quiet(NamedTuple):
    until: float
    unsaid: int


class RefusalCounters:
    """What one process has refused; `worker` names it."""

    def __init__(self, *, worker: str, clock: WallClock) -> None:
        self._worker, self._clock = worker, clock
        self._counts: dict[tuple[Refusal, int], Refused] = {}
        self._networks: dict[Group, set[str]] = {}
        self._strangers: dict[int, int] = {}  # groups by hour
        self._untold: set[tuple[Refusal, int]] = set()
        self._quiet: dict[tuple[str, str, str], _Quiet] = {}

    def note(self, refusal: Refusal) -> None:
        """One more."""
        now = self._clock.time()
        at, hour = int(now), int(now) // HOUR_S * HOUR_S
        key = (self._bounded(refusal, hour), hour)
        known = self._counts.get(key)
        if known is None:
            values = key[0]._asdict()
            known = Refused(
                **values, hour=hour, worker=self._worker, deliveries=0, first_at=at, last_at=at
            )
        self._counts[key] = msgspec.structs.replace(
            known, deliveries=known.deliveries + 1, last_at=at
        )
        self._untold.add(key)
        self._log(refusal, now)

    def untold(self, most: int) -> list[Refused]:
        """Counts that have changed since they were told, at most so many."""
        return [self._counts[key] for key in sorted(self._untold)[:most]]

    def told(self, counts: list[Refused]) -> None:
        """These were taken; what has changed meanwhile is told again."""
        for one in counts:
            refusal = Refusal(
                one.reason, one.tenant, one.integration, one.gateway, one.missing, one.network
            )
            key = (refusal, one.hour)
            if self._counts.get(key) is one:
                self._untold.discard(key)

    def forget(self) -> None:
        """Hours that are over, and told."""
        now = int(self._clock.time()) // HOUR_S * HOUR_S
        self._counts = {
            key: one for key, one in self._counts.items() if key[1] >= now or key in self._untold
        }
        self._networks = {group: seen for group, seen in self._networks.items() if group[1] >= now}
        self._strangers = {hour: count for hour, count in self._strangers.items() if hour >= now}

    def _bounded(self, refusal: Refusal, hour: int) -> Refusal:
        """The group that it is counted in."""
        group = (refusal._replace(network=""), hour)
        networks = self._networks.get(group)
        if networks is None:
            if not refusal.integration:
                if self._strangers.get(hour, 0) >= MOST_STRANGERS:
                    return Refusal(refusal.reason)
                self._strangers[hour] = self._strangers.get(hour, 0) + 1
            networks = self._networks[group] = set()
        if refusal.network in networks:
            return refusal
        if len(networks) >= MOST_NETWORKS:
            return group[0]
        networks.add(refusal.network)
        return refusal

    def _log(self, refusal: Refusal, now: float) -> None:
        who = (
            (refusal.tenant, refusal.integration, refusal.reason)
            if refusal.integration
            else ("", "", "")
        )
        quiet = self._quiet.get(who, _Quiet(0.0, 0))
        if now < quiet.until:
            self._quiet[who] = quiet._replace(unsaid=quiet.unsaid + 1)
            return
        self._quiet[who] = _Quiet(now + LOG_EVERY_S, 0)
        log.warning(
            "webhook.refused",
            tenant=refusal.tenant or None,
            integration=refusal.integration or None,
            gateway=refusal.gateway or None,
            reason=refusal.reason,
            missing=refusal.missing or None,
            sender=refusal.network or None,
            unsaid_before=quiet.unsaid,
        )
