"""The edge as a role of a process: listens, and on the way out finishes what it has begun."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time

from sinal_core import limiter
from sinal_core.http.server import GRACE_S, HttpServer
from sinal_core.nats.client import Bus, Published
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.keyring import Keyring
from sinal_hub.ingest import app
from sinal_hub.ingest.http.health import Health
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.intake import ports
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.quarantine.keeping import SealedQuarantine
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.spool import Detour, Owner, SpoolEntry, SpoolLimits
from sinal_hub.spool.settings import SpoolSettings


class IngestServer:
    """One listener of the edge in a running event loop; port 0 takes a free one."""

    def __init__(
        self,
        settings: ServerSettings,
        bus: Bus,
        plans: ports.Plans,
        *,
        keyring: Keyring,
        tracer: Tracer | None = None,
        ack_timeout_s: float | None = None,
        grace_s: int = GRACE_S,
    ) -> None:
        """Senders wait `ack_timeout_s` for the broker (None: the outlet's own), a stop `grace_s`
        for requests.
        """
        self._limiter = limiter.connect(settings.redis, clock=time)
        self._drain_s = settings.drain_s
        self._tally = IntegrationCounters(
            # The store keeps the greatest count that each worker has told. A container that starts
            # again has its old host name and number, and would count unseen until it has passed
            # itself.
            worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        )
        bucket = QuarantineBucket(bus)
        self.detour = _detour(settings, bus, plans, bucket)
        self._edge = app.build(
            bus=bus,
            plans=plans,
            limiter=self._limiter,
            quarantine=SealedQuarantine(
                bucket=bucket, keyring=keyring, detour=self.detour, tally=self._tally
            ),
            settings=settings,
            detour=self.detour,
            beginner=bus,
            tracer=tracer,
            tally=self._tally,
            ack_timeout_s=ack_timeout_s,
        )
        self._server = HttpServer(
            self._edge, host=settings.host, port=settings.port, grace_s=grace_s
        )

    @property
    def url(self) -> str:
        """Base URL, once started."""
        return self._server.url

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self._server.connections

    @property
    def health(self) -> Health:
        """What it says of itself."""
        return self._edge.health

    async def tell(self, bus: Bus) -> None:
        """Tell housekeeping what no event came of, and how the spool stands."""
        await self._tally.tell(bus, self.detour.state if self.detour is not None else None)

    async def start(self) -> None:
        """Open the spool, then listen; raises server.ListenError, SpoolLocked, SpoolBroken."""
        if self.detour is not None:
            await self.detour.start()
        await self._server.start()

    async def stop(self) -> None:
        """Turn unready, take no new connection, finish requests under way within the server's
        grace.
        """
        self._edge.health.drain()
        await asyncio.sleep(self._drain_s)
        await self._server.stop()
        if self.detour is not None:
            # behind the listener: requests that finish may need the disk yet
            await self.detour.stop()
        await self._limiter.close()


def _detour(
    settings: SpoolSettings, bus: Bus, plans: ports.Plans, bucket: QuarantineBucket
) -> Detour | None:
    if settings.spool_dir is None:
        return None

    async def publish(entry: SpoolEntry, *, timeout_s: float) -> Published:
        # sealed deliveries wait on the same disk, and their bucket may have to be made first
        if entry.subject.startswith(bucket.PREFIX):
            return await bucket.write(entry.subject, entry.body, timeout_s=timeout_s)
        return await bus.publish(
            entry.subject, entry.body, msg_id=entry.msg_id, timeout_s=timeout_s
        )

    def tenant_of(slug: str) -> Owner | None:
        plan = plans.snapshot.tenants.get(slug)
        if plan is None:
            return None
        legacy = f"{plan.namespace}/{plan.heir_of}" if plan.heir_of else ""
        return Owner(plan.uid, f"{plan.namespace}/{plan.name}", legacy)

    return Detour(
        settings.spool_dir,
        limits=SpoolLimits(max_bytes=settings.spool_bytes, free_bytes=settings.spool_free_bytes),
        connected=lambda: bus.connected,
        publish=publish,
        request_provision=bus.request_provision,
        tenant_of=tenant_of,
    )
