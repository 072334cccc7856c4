"""The connection to NATS: made once, kept for ever, its changes of state logged once each.

Invariant: `identity` changes when the broker behind the connection may have lost its streams
(another server process that is not a member of the same cluster). Stream sequences of the former
broker mean nothing to the new one, so acks of messages from before must not be sent: they could
remove others.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import nats.errors
import structlog

from sinal_core.nats.fast_client import FastClient
from sinal_core.telemetry.places import where
from sinal_crds import trust

log = structlog.get_logger(__name__)

RECONNECT_WAIT_S = 0.25
Listener = Callable[[], None]


class BrokerConnection:
    """One nats client with listeners for its connects and losses."""

    def __init__(self, *, name: str) -> None:
        self.client = FastClient()
        self.identity = ""
        self._name = name
        self._up: list[Listener] = []
        self._down: list[Listener] = []
        self._last_error = ""
        self._connected = False

    @property
    def connected(self) -> bool:
        """Whether a message can be sent now."""
        return self._connected and self.client.is_connected

    def listen(self, *, up: Listener, down: Listener) -> Callable[[], None]:
        """Call `up` at each connect (at once if connected) and `down` at each loss.

        Returns how to stop that.
        """
        self._up.append(up)
        self._down.append(down)
        if self.connected:
            self._call([up])

        def forget() -> None:
            if up in self._up:
                self._up.remove(up)
                self._down.remove(down)

        return forget

    async def connect(
        self, url: str, *, attach: Callable[[], object], authority: ssl.SSLContext | None = None
    ) -> None:
        """Connect, waiting for the broker as long as it takes.

        `attach` makes the first subscriptions.

        With an `authority` only a broker whose certificate is of it.
        """
        await self.client.connect(
            [part.strip() for part in url.split(",")],
            name=self._name,
            # so that a user may be let hear its own answers only
            inbox_prefix=f"_INBOX.{self._name}".encode(),
            allow_reconnect=True,
            # for ever: by its default nats-py gives a server up after 60 attempts
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # seconds, a float works
            connect_timeout=2,
            # A broker that vanishes without closing (a node that dies) is missed after some 15 s.
            # The default of two minutes between pings would make that six minutes.
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=16 << 20,
            tls=authority,
            error_cb=self._error,
            disconnected_cb=self._lost,
            reconnected_cb=self._reconnected,
        )
        result = attach()
        if asyncio.iscoroutine(result):
            await result
        await self._reconnected()

    async def _reconnected(self) -> None:
        # nats-py has no public accessor for the server's id and cluster
        info = self.client._server_info
        self.identity = str(info.get("cluster") or info.get("server_id") or "")
        self._connected, self._last_error = True, ""
        log.info("bus.connected", name=self._name, server=str(info.get("server_name", "")))
        self._call(self._up)

    async def _lost(self) -> None:
        was, self._connected = self._connected, False
        if was and not self.client.is_closed:
            log.warning("bus.connection_lost", name=self._name)
        self._call(self._down)

    async def _error(self, error: Exception) -> None:
        """Log an error once until it changes or the connection is back."""
        if isinstance(error, nats.errors.SlowConsumerError):
            return
        said = trust.words(error)
        if said != self._last_error:
            self._last_error = said
            log.warning("bus.error", name=self._name, error=said)

    @staticmethod
    def _call(listeners: list[Listener]) -> None:
        for listener in tuple(listeners):
            try:
                listener()
            except Exception as error:
                log.error("bus.listener_failed", error=type(error).__name__, at=where(error))

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Send what is buffered and close; waits for the broker no longer than `timeout_s`."""
        # a reconnect in the middle of the end must not set everything going again
        self._up.clear()
        try:
            async with asyncio.timeout(timeout_s):
                if self.client.is_connected:
                    await self.client.flush()
                await self.client.close()
        except (nats.errors.Error, OSError, TimeoutError, RuntimeError) as error:
            # RuntimeError: uvloop's word for a transport that the lost broker has closed under the
            # client
            log.warning("bus.close_failed", name=self._name, error=type(error).__name__)
        self._connected = False
