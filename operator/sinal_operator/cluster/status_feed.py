"""The bucket of facts as the operator reads it: what the runtime says of tenants, and whether it
still says anything.

A message that somebody writes there makes it look at once; now and then it looks anyway, with one
small request, and reads the bucket only when it is another than before. Invariant: content without
a pulse is none: what was known stays until the runtime has filled a bucket that was lost, and is
out of date once its last pulse is too old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from sinal_core.nats.errors import BusError
from sinal_crds.names import STATUS_BUCKET
from sinal_crds.tenant_status import (
    ORPHANS_KEY,
    PULSE_KEY,
    SILENT_S,
    ObservedTenant,
    UnknownStatusVersion,
    decode,
    decode_pulse,
)
from sinal_operator.cluster.status_throttle import StatusThrottle
from sinal_operator.cluster.tenant_status import Told
from sinal_operator.provision import buckets
from sinal_operator.provision.jetstream import FencedJetStream

log = logging.getLogger(__name__)

LOOK_S = 30.0
SETTLE_S = 0.3  # entries are written in one go: one look for all of them
RETRY_S = 1.0


@dataclass(frozen=True)
class _Mark:
    """What tells one content of the bucket from another."""

    # A bucket that was lost and filled again may come to the very same numbers.
    created: str
    last_seq: int
    messages: int


class StatusFeed:
    """What hangs there, at the pace that statuses may change."""

    def __init__(
        self,
        client: Callable[[], Client | None],
        pace: StatusThrottle,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._pace, self._clock = client, pace, clock
        self._dirty = asyncio.Event()
        self._mark: _Mark | None = None
        self._known: dict[str, tuple[bytes, ObservedTenant]] = {}
        self._pulse = 0.0
        self._loaded = False
        self._fresh = False

    @property
    def told(self) -> Told | None:
        """What statuses may say; None while nothing was read yet."""
        return Told(dict(self._pace.shown), fresh=self._fresh) if self._loaded else None

    @property
    def due_in_s(self) -> float | None:
        """Seconds until there is more to say; None when there is not."""
        return self._pace.due_in_s if self._fresh else None

    def release(self) -> frozenset[str]:
        """Let statuses say what they may now.

        The slugs of which that is something else than before.
        """
        return self._pace.release()

    async def run(self, on_news: Callable[[], None]) -> None:
        """Look for ever; `on_news` hears when there is something else."""
        heard: Client | None = None
        while True:
            client = self._client()
            if client is None or not client.is_connected:
                self._age(on_news)
                await asyncio.sleep(RETRY_S)
                continue
            try:
                # A reconnect renews subscriptions, but a client that was made anew has none.
                if client is not heard:
                    await client.subscribe(f"$KV.{STATUS_BUCKET}.>", cb=self._written)
                    heard = client
                # Before the look: what is written while it reads asks for another one.
                self._dirty.clear()
                if await self._look(client):
                    on_news()
            except (BusError, nats.errors.Error, OSError) as error:
                log.debug("facts wait: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            self._age(on_news)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._dirty.wait()
            await asyncio.sleep(SETTLE_S)

    async def _written(self, message: Msg) -> None:
        self._dirty.set()

    async def _look(self, client: Client) -> bool:
        """Read the bucket if it is another than before; whether that is news."""
        info = await FencedJetStream(client).stream(f"KV_{STATUS_BUCKET}")
        if info is None:
            return False  # the provisioner makes it
        mark = _Mark(info.created, info.state.last_seq, info.state.messages)
        if mark == self._mark:
            return False
        entries = await buckets.read(client, STATUS_BUCKET) if mark.messages else {}
        # The mark is of before the reading: what was written meanwhile makes the next look differ.
        self._mark = mark
        return self.read({key: value for key, value in entries.items() if value is not None})

    def read(self, entries: dict[str, bytes]) -> bool:
        """Take the bucket's content; whether that is news."""
        first, self._loaded = not self._loaded, True
        entries.pop(ORPHANS_KEY, None)  # the operator's own word to the runtime
        pulse = entries.pop(PULSE_KEY, None)
        if pulse is None:
            return first
        with contextlib.suppress(UnknownStatusVersion):
            self._pulse = float(decode_pulse(pulse).at)
        before = {slug: facts for slug, (_, facts) in self._known.items()}
        self._known = {
            slug: one
            for slug, entry in entries.items()
            if (one := self._decoded(slug, entry)) is not None
        }
        latest = {slug: facts for slug, (_, facts) in self._known.items()}
        self._pace.take(latest)
        return first or latest != before

    def _decoded(self, slug: str, entry: bytes) -> tuple[bytes, ObservedTenant] | None:
        known = self._known.get(slug)
        if known is not None and known[0] == entry:
            return known
        try:
            return entry, decode(entry)
        except UnknownStatusVersion as error:
            log.debug("facts of %s are not understood: %s", slug, error)
            return known

    def _age(self, on_news: Callable[[], None]) -> None:
        fresh = self._clock() - self._pulse <= SILENT_S
        if fresh is not self._fresh:
            self._fresh = fresh
            if self._loaded:
                on_news()
