"""NATS as the operator uses it: one connection that is tried for ever, and how long it has been
away.

A short absence is no news (a restart takes seconds); from `GRACE_S` on it is a trouble that
statuses tell.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Collection, Iterable

import nats.errors
from nats.aio.client import Client

from sinal_core.nats.errors import BusError, BusUnavailable
from sinal_crds import trust
from sinal_crds.keyring import Keyring
from sinal_crds.names import STATUS_BUCKET
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import PlanHolder
from sinal_crds.tenant_status import ORPHANS_KEY, Orphan, encode_orphans
from sinal_operator.provision import Connection, Provisioner, Report, Retired
from sinal_operator.provision.jetstream import FencedJetStream

log = logging.getLogger(__name__)

GRACE_S = 10.0
RETRY_S = 1


class BrokerSession:
    """The provisioner with its connection."""

    def __init__(
        self,
        url: str,
        keyring: Keyring,
        *,
        ack_wait_s: float,
        replicas: int,
        interval_s: float,
        allowed: Callable[[], bool] = lambda: True,
        authority: ssl.SSLContext | None = None,
    ) -> None:
        self._authority = authority
        self._url, self._keyring = url, keyring
        self._ack_wait_s, self._replicas, self._interval_s = ack_wait_s, replicas, interval_s
        self._allowed = allowed
        self._on_change: Callable[[], None] = lambda: None
        self._client: Client | None = None
        self._provisioner: Provisioner | None = None
        self._holders: tuple[PlanHolder, ...] | None = None
        self._away_since: float | None = time.monotonic()
        self._why = "there has been no connection yet"
        self._told = b""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client | None:
        """The connection of now, for who only reads."""
        return self._client

    @property
    def trouble(self) -> str:
        """What to tell people once NATS has been away for longer than a restart takes.

        Else empty.
        """
        if self._away_since is None or time.monotonic() - self._away_since < GRACE_S:
            return ""
        return f"NATS is away: {self._why}; what is provisioned stays as it is, and changes wait"

    async def holders(self) -> tuple[PlanHolder, ...] | None:
        """Whose plans the runtime has, as last known.

        None where NATS has not told since we started.
        """
        if self._provisioner is not None and self.connected:
            try:
                self._holders = await self._provisioner.holders()
                self.works()
            except BusUnavailable as error:
                self._gone(str(error))
        return self._holders

    async def reconcile(
        self, plans: Iterable[TenantPlan], retired: Iterable[Retired], *, deep: Collection[str]
    ) -> Report | None:
        """Bring NATS to the plans; None when it is away."""
        if self._provisioner is None or not self.connected:
            return None
        try:
            report = await self._provisioner.reconcile(plans, retired, deep=deep)
        except BusUnavailable as error:
            self._gone(str(error))
            return None
        self.works()
        return report

    async def tell_orphans(self, orphans: Collection[PlanHolder]) -> None:
        """Tell the runtime which plans have no Tenant, where that is another answer than before."""
        said = encode_orphans(Orphan(one.slug, one.namespace, one.name) for one in orphans)
        if self._client is None or not self.connected or said == self._told:
            return
        try:
            await FencedJetStream(self._client).store(f"$KV.{STATUS_BUCKET}.{ORPHANS_KEY}", said)
        except BusError as error:  # the next round tells it
            log.debug("plans without a Tenant are not told: %s", error)
        else:
            self._told = said

    def works(self) -> None:
        """Note that NATS has answered."""
        if self._away_since is not None:
            self._away_since = None
            self._on_change()

    async def run(
        self,
        source: Callable[[], Iterable[TenantPlan]],
        retired: Callable[[], Iterable[Retired]],
        on_report: Callable[[Report], None],
        on_change: Callable[[], None],
    ) -> None:
        """Connect and keep NATS as declared, for ever.

        `on_change` hears of its coming and of its staying away.
        """
        self._on_change = on_change
        # `_gone` tells nobody of a broker that was never there: it counts as away from the
        # beginning.
        self._tell_later()
        while True:
            closed = asyncio.Event()
            try:
                self._client = await self._connect(closed)
                self._told = b""  # another broker may have lost it
                self._provisioner = Provisioner(
                    self._client,
                    self._keyring,
                    replicas=self._replicas,
                    ack_wait_s=self._ack_wait_s,
                    allowed=self._allowed,
                )
                self._on_change()
                await self._keep(self._provisioner, closed, source, retired, on_report)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                self._gone(type(error).__name__)
            finally:
                await self._close()
            await asyncio.sleep(RETRY_S)

    async def _keep(
        self,
        provisioner: Provisioner,
        closed: asyncio.Event,
        source: Callable[[], Iterable[TenantPlan]],
        retired: Callable[[], Iterable[Retired]],
        on_report: Callable[[Report], None],
    ) -> None:
        """Look for drift until the connection is closed for good."""
        # The drift loop waits for a reconnect for ever. nats-py closes for good, in spite of its
        # endless attempts, where the server refuses the user: only `closed_cb` tells of that.
        keeping = asyncio.create_task(
            provisioner.run(source, self._interval_s, retired=retired, on_report=on_report),
            name="drift",
        )
        closing = asyncio.create_task(closed.wait())
        try:
            await asyncio.wait({keeping, closing}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
        finally:
            for task in (keeping, closing):
                task.cancel()
            await asyncio.gather(keeping, closing, return_exceptions=True)

    async def _connect(self, closed: asyncio.Event) -> Client:
        async def lost() -> None:
            self._gone("the connection was lost")

        # A connection alone ends no trouble: `works` is called once JetStream has answered.
        async def back() -> None:
            self._on_change()

        async def failed(error: Exception) -> None:
            self._why = f"connecting fails with {trust.words(error)}"

        async def ended() -> None:
            closed.set()

        client = Connection()
        await client.connect(
            self._url,
            name="sinal-operator",
            # nats-py gives up after 60 attempts unless told otherwise.
            max_reconnect_attempts=-1,
            reconnect_time_wait=RETRY_S,
            disconnected_cb=lost,
            reconnected_cb=back,
            closed_cb=ended,
            error_cb=failed,
            tls=self._authority,
        )
        return client

    async def _close(self) -> None:
        client, self._client, self._provisioner = self._client, None, None
        if client is not None and not client.is_closed:
            await client.close()

    def _gone(self, why: str) -> None:
        self._why = why
        if self._away_since is None:
            log.warning("NATS is away: %s", why)
            self._away_since = time.monotonic()
            self._tell_later()

    def _tell_later(self) -> None:
        # A little later than GRACE_S: `trouble` is still empty at a wake-up that comes too early.
        asyncio.get_running_loop().call_later(GRACE_S + 0.1, self._on_change)
