"""Keeps certificate, registration and knowledge of the API server up to date, again and again.

Every replica does so, and none leads: each step is bound to the version that it was judged by, so
of two only one happens and the other looks again. The registration is read before the Secret:
whoever patches it has seen a Secret at least as new as the last one who did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from sinal_core.telemetry import metrics
from sinal_metrics_adapter.certificates import KeyPair, Maker, Ring, Unusable, utc_now
from sinal_metrics_adapter.errors import ClusterRefused, ClusterUnavailable
from sinal_metrics_adapter.ports import API_SERVICE, FrontProxy, Keeping, Registration

log = structlog.get_logger(__name__)

LOOK_S = 30.0
LOOKS_A_LIFE = 36  # at least so many looks in a certificate's life
EAGER_S = 2.0  # while there is nothing to serve with
ATTEMPTS = 5  # against replicas that are faster

Present = Callable[[KeyPair, FrontProxy], None]


def look_s(life: timedelta) -> float:
    """Seconds between two looks."""
    return min(LOOK_S, life.total_seconds() / LOOKS_A_LIFE)


class CertificateReconciler:
    """One replica's part of the work."""

    def __init__(
        self,
        keeping: Keeping,
        maker: Maker,
        *,
        namespace: str,
        service: str,
        secret: str,
        present: Present,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keeping, self._maker, self._present, self._now = keeping, maker, present, now
        self._namespace, self._service, self._secret = namespace, service, secret
        self._shown: tuple[KeyPair, FrontProxy] | None = None
        self.registered = False  # the API server sends to us and trusts us
        self.refusal: str | None = None  # why it does not, where it is somebody else's
        self.trouble: str | None = None  # why the last look came to nothing

    @property
    def serving(self) -> bool:
        """Whether a certificate is shown that still holds."""
        return self._shown is not None and self._shown[0].ends_at > self._now()

    async def run(self, every_s: float) -> None:
        """Tend for ever."""
        while True:
            try:
                await self.tend()
            except ClusterUnavailable as error:
                log.warning("adapter.cluster_unavailable", reason=str(error))
                self.trouble = str(error)
            await asyncio.sleep(every_s if self.serving else min(every_s, EAGER_S))

    async def tend(self) -> None:
        """Look at everything and do what is due; raises ClusterUnavailable."""
        front = await self._keeping.front_proxy()
        self.trouble = None
        for _ in range(ATTEMPTS):
            registration = await self._keeping.registration()
            self._judge(registration)
            ring = await self._ring(registration)
            if ring is None:
                continue
            self._show(ring.current, front)
            if registration is None or self.refusal is not None:
                return
            if registration.bundle == ring.bundle:
                self.registered = True
                return
            if await self._keeping.trust(ring.bundle, version=registration.version):
                log.info("adapter.trusted", authorities=len(ring.authorities))
                self.registered = True
                return

    def _judge(self, registration: Registration | None) -> None:
        """Whether the registration is ours to change."""
        refusal = None
        if registration is None:
            self.registered = False
        elif (registration.namespace, registration.service) != (self._namespace, self._service):
            self.registered = False
            theirs = f"{registration.namespace}/{registration.service}"
            refusal = (
                f"APIService {API_SERVICE} belongs to the Service {theirs}, not to "
                f"{self._namespace}/{self._service}: "
                "a cluster has one source of external metrics. It was left alone; let that one go, "
                "or take the depths "
                "from there (KEDA: scaler metrics-api at /depth/ROLE, with "
                "SINAL_ADAPTER_EXTERNAL_METRICS=false)"
            )
        if refusal is not None and refusal != self.refusal:
            log.error("adapter.refused", reason=refusal)
        self.refusal = refusal

    async def _ring(self, registration: Registration | None) -> Ring | None:
        """The certificates as they should be now, stored; None when another replica was faster."""
        now = self._now()
        stored = await self._keeping.secret()
        if stored is None:
            ring = self._maker.first(now)
            done = await self._keeping.create_secret(ring.data())
            return self._told("adapter.certificate_made", ring) if done else None
        if stored.data and not stored.ours:
            raise ClusterRefused(
                f"Secret {self._namespace}/{self._secret} was not made by the adapter and is left "
                "alone: remove it, or "
                "set SINAL_ADAPTER_SECRET to another name"
            )
        try:
            ring = Ring.of(stored.data)
        except Unusable as error:
            log.warning("adapter.certificate_unusable", reason=str(error))
            wanted = self._maker.first(now)
        else:
            # Where the API server does not send to us, no trust has to be waited for.
            trusted = (
                registration is None
                or self.refusal is not None
                or registration.bundle == ring.bundle
            )
            wanted = self._maker.step(ring, now, trusted=trusted)
            if wanted == ring:
                return ring
        if not await self._keeping.replace_secret(wanted.data(), version=stored.version):
            return None
        return self._told("adapter.certificate_rotated", wanted)

    def _told(self, what: str, ring: Ring) -> Ring:
        announced = None if ring.upcoming is None else ring.upcoming.ends_at.isoformat()
        log.info(
            "adapter.certificate",
            step=what,
            ends_at=ring.current.ends_at.isoformat(),
            announced=announced,
        )
        return ring

    def _show(self, pair: KeyPair, front: FrontProxy) -> None:
        if (pair, front) != self._shown:
            self._present(pair, front)
            self._shown = (pair, front)
            metrics.ADAPTER_CERTIFICATE_EXPIRY.set(pair.ends_at.timestamp())
