"""The operator in a cluster, as something to start and to stop.

It has a thread and an event loop of its own, because Kopf ends what else runs in its loop.
Invariant: it never ends by itself unheard: whoever started it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import kopf

from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_operator.cluster import handlers
from sinal_operator.cluster.broker import BrokerSession
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.definitions import Definitions
from sinal_operator.cluster.desired_state import DesiredState
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.finalizers import Finalizers
from sinal_operator.cluster.object_cache import ObjectCache
from sinal_operator.cluster.orphans import Orphans
from sinal_operator.cluster.reconciler import Reconciler
from sinal_operator.cluster.routes import RouteOptions, Router
from sinal_operator.cluster.status_feed import StatusFeed
from sinal_operator.cluster.status_throttle import StatusThrottle
from sinal_operator.cluster.status_writer import StatusWriter
from sinal_operator.provision import desired

log = logging.getLogger(__name__)

STOP_S = 15.0


@dataclass(frozen=True, kw_only=True)
class OperatorOptions:
    """What the operator needs to know beside its keyring."""

    nats_url: str = field(repr=False)  # may hold a password
    nats_authority: ssl.SSLContext | None = None  # the broker has to prove by TLS that it is of it
    ingest_url: str  # where senders reach ingest: the base of webhook URLs
    ack_wait_s: float = desired.ACK_WAIT_S
    replicas: int = 1  # of streams and buckets
    drift_interval_s: float = 5.0
    status_interval_s: float = 30.0  # between two writes of figures into one object's status
    deletion_patience_s: float = 120.0  # how long a Tenant's deletion waits for NATS
    routes: RouteOptions | None = None  # none are made without
    namespaces: tuple[str, ...] = ()  # that are served; empty: all
    reserved_hosts: ReservedHosts = NOTHING_RESERVED  # that no Tenant may have


class SingleOperator:
    """Watches the API server that KUBECONFIG or the pod's account leads to, in all namespaces or in
    some.
    """

    def __init__(
        self,
        keyring: Keyring,
        options: OperatorOptions,
        *,
        on_exit: Callable[[], None],
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._keyring, self._options, self._on_exit, self._allowed = (
            keyring,
            options,
            on_exit,
            allowed,
        )
        # A daemon: a part that does not end within STOP_S must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        self._synced: Callable[[], bool] = lambda: False
        self._connected: Callable[[], bool] = lambda: False

    async def start(self) -> None:
        """Start; what it needs may come later.

        `on_exit` is called, in its thread, if it ends without being stopped.
        """
        self._thread.start()
        await asyncio.to_thread(self._running.wait)

    async def stop(self) -> None:
        """Stop watching; what is provisioned stays."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            await asyncio.to_thread(self._thread.join, STOP_S)

    def readiness(self) -> Mapping[str, bool]:
        """The API server's objects are seen; NATS is connected."""
        alive = self._thread.is_alive()
        return {"kubernetes": alive and self._synced(), "nats": alive and self._connected()}

    def _run(self) -> None:
        logging.getLogger("kopf").setLevel(logging.WARNING)
        # signals are the main thread's
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        wanted = False
        try:
            wanted = asyncio.run(self._main())
        except Exception:
            log.exception("the operator failed")
        finally:
            self._running.set()
            if not wanted:
                self._on_exit()

    async def _main(self) -> bool:
        """Run until stopped, or until a part ends by itself; returns whether it was stopped."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        async with contextlib.AsyncExitStack() as stack:
            parts = self._parts(stack)
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            await asyncio.wait({*parts, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in parts:
                if task.done():
                    task.result()
            return stopping.done()

    def _client(self) -> ApiServerClient:
        return ApiServerClient(allowed=self._allowed, namespaces=self._options.namespaces)

    def _parts(self, stack: contextlib.AsyncExitStack) -> tuple[asyncio.Task[None], ...]:
        """The parts, started; the stack ends them, the watches last but for the connections."""
        options, client, object_cache = self._options, self._client(), ObjectCache()
        stack.push_async_callback(client.close)
        broker = BrokerSession(
            options.nats_url,
            self._keyring,
            authority=options.nats_authority,
            ack_wait_s=options.ack_wait_s,
            replicas=options.replicas,
            interval_s=options.drift_interval_s,
            allowed=self._allowed,
        )
        definitions = Definitions()
        survey = DesiredState(
            client, object_cache, self._keyring, definitions, reserved=options.reserved_hosts
        )
        departures, recorder = Finalization(object_cache), EventRecorder(client)
        board = StatusFeed(lambda: broker.client, StatusThrottle(options.status_interval_s))
        reconciler = Reconciler(
            survey=survey,
            broker=broker,
            ingest_url=options.ingest_url,
            object_cache=object_cache,
            departures=departures,
            writer=StatusWriter(client, object_cache, recorder),
            recorder=recorder,
            router=(
                router := Router(client, options.routes) if options.routes is not None else None
            ),
            board=board,
            orphans=Orphans(options.namespaces),
        )
        self._synced, self._connected = lambda: survey.synced, lambda: broker.connected
        patience_s = options.deletion_patience_s
        finalizers = Finalizers(
            client, object_cache, departures, definitions, recorder, patience_s=patience_s
        )
        found = handlers.registry(
            survey,
            reconciler,
            departures,
            recorder,
            definitions,
            patience_s=patience_s,
            namespaced=bool(options.namespaces),
        )
        keeping = broker.run(
            reconciler.source, reconciler.retired, reconciler.on_report, reconciler.wake
        )
        watching = _watching(found, options.namespaces, stack)
        routing = router.watches(reconciler.wake) if router is not None else ()
        letting_go = finalizers.run(reconciler.wake)
        working = (
            keeping,
            reconciler.run(),
            recorder.run(),
            board.run(reconciler.hear),
            letting_go,
            *routing,
        )
        return watching, *(_task(work, stack) for work in working)


def _watching(
    registry: kopf.OperatorRegistry, namespaces: Sequence[str], stack: contextlib.AsyncExitStack
) -> asyncio.Task[None]:
    """Kopf, ended by its own flag: it has a way of its own to finish what is under way."""
    flag = asyncio.Event()
    work = kopf.operator(
        registry=registry,
        settings=handlers.settings(namespaced=bool(namespaces)),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=flag,
    )
    task = asyncio.create_task(work, name="kopf")

    async def end() -> None:
        flag.set()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task


def _task(work: Coroutine[Any, Any, None], stack: contextlib.AsyncExitStack) -> asyncio.Task[None]:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task
