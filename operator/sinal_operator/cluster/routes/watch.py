"""One kind of route in the whole cluster, as a watch shows it; it may be missing or forbidden.

Where only the own namespace may be read, that is enough to make routes; what others claim elsewhere
is not seen then.

Kopf ends the whole operator where it may not watch a kind, and HTTPRoutes are a kind that many
clusters do not have. Here both are states that a condition tells and that end by themselves.
Invariant: an older version of an object never takes the place of a newer one, not even of one that
is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from enum import Enum

from sinal_operator.cluster.client import (
    ApiServerClient,
    ApiServerRefused,
    ApiServerUnreachable,
    Body,
    Gone,
)
from sinal_operator.cluster.resources import Resource
from sinal_operator.cluster.routes.observed import ObservedRoutes, see

log = logging.getLogger(__name__)

RETRY_S = 15.0  # a kind that is missing or forbidden, or a server that is away, is asked for again
PAUSE_S = 1.0
MOST_GONE = 1_000
FORBIDDEN = 403

Key = tuple[str, str, str]


class WatchState(Enum):
    """What is known of a kind."""

    UNKNOWN = "not asked yet"
    SEEN = "listed and watched"
    MISSING = "the API server does not have this kind"
    FORBIDDEN = "the operator may not read it"


class RouteWatch:
    """Keeps the routes of one kind."""

    def __init__(
        self,
        client: ApiServerClient,
        resource: Resource,
        *,
        namespace: str,
        on_change: Callable[[], None],
    ) -> None:
        self.resource = resource
        self.state, self.message = WatchState.UNKNOWN, ""
        self.asked = asyncio.Event()  # set by the first answer, whatever it was
        self._client, self._namespace, self._on_change = client, namespace, on_change
        self._scope = ""  # empty: the whole cluster
        self._lives: dict[Key, ObservedRoutes] = {}
        # versions at which objects of ours vanished: our own answer may be late
        self._gone: dict[Key, int] = {}

    def __iter__(self) -> Iterator[ObservedRoutes]:
        return iter(tuple(self._lives.values()))

    async def run(self) -> None:
        """List and watch, for ever."""
        while True:
            pause_s = PAUSE_S
            try:
                await self._follow(await self._list())
            except Gone:
                pass  # what happened since is not told any more: list again
            except ApiServerRefused as error:
                pause_s = RETRY_S
                self._refused(error)
            except ApiServerUnreachable as error:
                log.info("the watch of %s waits: %s", self.resource.plural, error)
            self.asked.set()
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.3))  # noqa: S311 - jitter

    def put(self, body: Body) -> bool:
        """Note an object; whether that is news."""
        live = see(self.resource, body, namespace=self._namespace)
        before = self._lives.get(live.key)
        known = before.version if before is not None else self._gone.get(live.key, 0)
        if known > live.version:
            return False
        self._lives[live.key] = live
        return live != before

    def remove(self, body: Body) -> bool:
        """Note that an object is gone; whether that is news."""
        live = see(self.resource, body, namespace=self._namespace)
        before = self._lives.get(live.key)
        if live.ours:
            self._gone[live.key] = live.version
            while len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]
        if before is None or before.version > live.version:  # made again meanwhile
            return False
        del self._lives[live.key]
        return True

    async def _list(self) -> int:
        """List the whole cluster, or where that is not allowed the own namespace.

        The version it was made at.
        """
        try:
            return await self._take("")
        except ApiServerRefused as error:
            if error.status != FORBIDDEN:
                raise
            with contextlib.suppress(ApiServerRefused):
                return await self._take(self._namespace)
            raise

    async def _take(self, scope: str) -> int:
        """Take a listing for what there is."""
        bodies: list[Body] = []
        at = 0
        async for page, version in self._client.pages(self.resource, namespace=scope):
            bodies += page
            at = max(at, int(version))
        news = [self.put(body) for body in bodies]
        listed = {
            (self.resource.kind, b["metadata"]["namespace"], b["metadata"]["name"]) for b in bodies
        }
        lost = [
            key for key, live in self._lives.items() if key not in listed and live.version <= at
        ]
        for key in lost:
            del self._lives[key]
        self._scope = scope
        if self._turn(WatchState.SEEN, "") or lost or any(news):
            self._on_change()
        return at

    async def _follow(self, version: int) -> None:
        """Take events as they come.

        Raises Gone when the server has forgotten what came after a version.
        """
        while True:
            async for type, body in self._client.watch(
                self.resource, version, namespace=self._scope
            ):
                version = int(body["metadata"]["resourceVersion"])
                if type == "BOOKMARK":
                    continue
                if self.remove(body) if type == "DELETED" else self.put(body):
                    self._on_change()

    def _refused(self, error: ApiServerRefused) -> None:
        state = {
            404: WatchState.MISSING,
            401: WatchState.FORBIDDEN,
            FORBIDDEN: WatchState.FORBIDDEN,
        }.get(error.status)
        if state is None:
            log.warning("the watch of %s waits: %s", self.resource.plural, error)
            return
        # Objects go with their definition. Where only the right to read is gone, they are still
        # there.
        if state is WatchState.MISSING:
            self._lives.clear()
        if self._turn(state, str(error)):
            log.info("%s: %s", self.resource.plural, error)
            self._on_change()

    def _turn(self, state: WatchState, message: str) -> bool:
        before = self.state, self.message
        self.state, self.message = state, message
        self.asked.set()
        return before != (state, message)
