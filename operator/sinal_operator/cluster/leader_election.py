"""Which of several operators works: the holder of a Lease, with the terms of Kubernetes' own
controllers.

Our own and not `kubernetes.aio.leaderelection` (read at 37.0.2), because that one ends with the
first connection that fails, waits as long as a request hangs, measures terms with the wall clock,
writes local time as if it were UTC, goes on for up to ten seconds after it has seen another holder,
and has no way to release.

No two machines' clocks are compared. Another's term is over when its record has stayed the same for
its duration by our clock. Ours ends `deadline_s` after the last renewal that succeeded was *sent*;
others count from when they first see it, which is later. Invariant: between the end of a holder's
term and the beginning of the next one's lie `duration_s - deadline_s` seconds or more, or a release
by the holder itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.resources import LEASES

log = logging.getLogger(__name__)

Body = dict[str, Any]

_NEVER = float("-inf")


@dataclass(frozen=True, kw_only=True)
class LeaseTerms:
    """Seconds, as client-go has them."""

    duration_s: int = 15  # others wait so long for a holder that says nothing
    deadline_s: float = 10.0  # a holder that can't renew for so long gives up
    period_s: float = 2.0  # between two looks or renewals
    request_s: float = 4.0  # one exchange with the API server; two of them fit into the deadline


def boot_time() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine is suspended."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )


class LeaderElection:
    """One candidate's part; used by one task, but `holding` may be asked from any thread."""

    def __init__(
        self,
        client: ApiServerClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        terms: LeaseTerms | None = None,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._client, self._namespace, self._name, self._identity = (
            client,
            namespace,
            name,
            identity,
        )
        self._terms, self._clock = terms or LeaseTerms(), clock
        self._lease: Body | None = None  # as last seen
        self._observed: tuple[object, ...] = ()
        self._unchanged_since = _NEVER
        self._ends_at = _NEVER  # our own term
        self._trouble = ""
        self.reachable = False  # whether the last exchange with the API server went well

    @property
    def holding(self) -> bool:
        """Whether this one may work now."""
        return self._clock() < self._ends_at

    async def win(self) -> None:
        """Return once the lease is ours."""
        while True:
            if await self._attempt():
                return
            await asyncio.sleep(self._terms.period_s * random.uniform(1, 1.2))  # noqa: S311 - jitter

    async def keep(self) -> None:
        """Renew until the lease is lost."""
        while self.holding:
            await asyncio.sleep(min(self._terms.period_s, max(0.0, self._ends_at - self._clock())))
            # Asked again: the machine may have been suspended during the sleep, for longer than the
            # term.
            if self.holding:
                await self._attempt()

    async def release(self) -> None:
        """Give the lease back, so that another takes it at its next look.

        The caller has ceased to work.
        """
        if not self.holding or self._lease is None:
            return
        self._ends_at = _NEVER
        try:
            async with asyncio.timeout(self._terms.request_s):
                # 1 second, as client-go writes it: the API takes no Lease with a duration of 0.
                await self._client.replace(
                    LEASES, self._namespace, self._name, self._renewed("", duration_s=1)
                )
        except (ApiServerUnreachable, ApiServerRefused, TimeoutError) as error:
            log.info(
                "the lease was not released and runs out in %d s: %s", self._terms.duration_s, error
            )

    async def _attempt(self) -> bool:
        """Take the lease or prolong it, if that can be; whether it is ours."""
        try:
            async with asyncio.timeout(self._terms.request_s):
                await self._take()
        except (ApiServerUnreachable, ApiServerRefused, TimeoutError) as error:
            self._lease = None  # whatever was written or not: look first
            self.reachable = False
            self._say(self._explained(error))
        else:
            self.reachable = True
            self._say("")
        return self.holding

    async def _take(self) -> None:
        # Our own record needs no look: the PUT names its version, and is refused where somebody
        # wrote.
        if self._lease is None or not self._is_ours:
            self._see(await self._client.get(LEASES, self._namespace, self._name))
        if self._is_anothers:
            self._ends_at = _NEVER
            return
        sent_at = self._clock()
        body = self._renewed(self._identity, duration_s=self._terms.duration_s)
        try:
            if self._lease is None:
                self._lease = await self._client.create(LEASES, self._namespace, body)
            else:
                self._lease = await self._client.replace(LEASES, self._namespace, self._name, body)
        except ApiServerRefused as error:
            if not error.outdated:
                raise
            self._lease = None  # another candidate was faster, or somebody edited it: look again
            return
        self._ends_at = sent_at + self._terms.deadline_s

    def _see(self, lease: Body | None) -> None:
        if _record(lease) != self._observed:
            self._observed, self._unchanged_since = _record(lease), self._clock()
        self._lease = lease

    @property
    def _is_ours(self) -> bool:
        return _spec(self._lease).get("holderIdentity") == self._identity

    @property
    def _is_anothers(self) -> bool:
        """Whether somebody else holds it and its term is not over."""
        spec = _spec(self._lease)
        if self._is_ours:
            return False
        duration_s = float(spec.get("leaseDurationSeconds") or self._terms.duration_s)
        return (
            bool(spec.get("holderIdentity")) and self._clock() < self._unchanged_since + duration_s
        )

    def _renewed(self, holder: str, *, duration_s: int) -> Body:
        """The Lease to write over the one that was seen, or a new one."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = _spec(self._lease)
        fresh: Body = {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration_s,
            "renewTime": now,
        }
        if not self._is_ours:
            fresh["acquireTime"] = now
            fresh["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (
                self._lease is not None
            )
        metadata = (self._lease or {}).get("metadata") or {
            "namespace": self._namespace,
            "name": self._name,
        }
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {**before, **fresh},
        }

    def _explained(self, error: Exception) -> str:
        where = f"Lease {self._namespace}/{self._name}"
        if isinstance(error, TimeoutError):
            return f"{where}: the API server does not answer"
        if isinstance(error, ApiServerRefused) and error.status == 403:
            return f"{where} can't be used: {error}; grant get, create and update of leases there"
        if isinstance(error, ApiServerRefused) and error.gone:
            return f"{where} can't be made: {error}; correct SINAL_LEASE_NAMESPACE"
        return f"{where}: {error}"

    def _say(self, trouble: str) -> None:
        """Log a trouble once, until it changes or is over."""
        if trouble and trouble != self._trouble:
            log.warning("%s", trouble)
        self._trouble = trouble


def _spec(lease: Body | None) -> Body:
    return (lease or {}).get("spec") or {}


def _record(lease: Body | None) -> tuple[object, ...]:
    """What changes when its holder renews it, and not when somebody labels it."""
    spec = _spec(lease)
    return spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions")
