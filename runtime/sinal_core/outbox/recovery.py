"""Calls what waits for a destination as soon as what it waited for is over.

It is over when the terms change that a destination is asked under (a mended token, a tenant that is
resumed), and when a breaker closes. Three things hold an event back then: its row's time in
PostgreSQL, the breakers of all workers, and the messages that each of them has parked. The rows
come first, so that nobody is called in vain. Every worker sees a plan. Of breakers they tell
one another: who has stopped says so, and whoever is answered well by that destination calls it.
What such a message says is never needed: who misses it tries in its own time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import structlog

from sinal_core.outbox.ports import Bus, Key, News
from sinal_core.postgres.errors import StoreError

log = structlog.get_logger(__name__)

RETRY_S = 1.0
# between two calls of a destination that another process cannot reach and this one can
APART_S = 5.0

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[Key]).decode


class DueRows(Protocol):
    """The one question that recovery asks of a ledger."""

    async def make_due(self, lanes: Sequence[Key]) -> int:
        """Let the rows of these destinations wait no longer; how many did."""
        ...


class Subjects(NamedTuple):
    """What workers of one product tell one another."""

    recovered: str
    stopped: str


class Recovery:
    """Of one process.

    `wake` calls what is parked of a destination, `try_now` lets its breaker try at once.
    """

    def __init__(
        self,
        ledger: DueRows,
        bus: Bus,
        subjects: Subjects,
        *,
        wake: Callable[[str, str], None],
        try_now: Callable[[str, str], None],
    ) -> None:
        self._ledger, self._bus, self._subjects = ledger, bus, subjects
        self._wake, self._try_now = wake, try_now
        self._terms: Mapping[Key, object] = {}
        self._stopped: set[Key] = set()  # by a breaker of this process
        self._elsewhere: set[Key] = set()  # by a breaker of another one
        self._told_at: dict[Key, float] = {}  # when others were last called to a destination
        self._delayed: dict[Key, asyncio.TimerHandle] = {}
        self._owed: dict[Key, bool] = {}  # in the sequence asked for; whether others are to be told
        self._asked = asyncio.Event()

    def follow(self, terms: Mapping[Key, object]) -> None:
        """Look at all that decides of each destination whether and how it is asked.

        What changed is tried at once, and at the start everything, which may have changed.
        """
        changed = [key for key, term in terms.items() if self._terms.get(key) != term]
        for gone in self._terms.keys() - terms.keys():
            self._forget(gone)
        self._terms = dict(terms)
        for key in changed:
            self._stopped.discard(key)
            self._owe(key, tell=False)

    def told(self, tenant: str, destination: str, news: News) -> None:
        """What the answers that this process has got say of a destination."""
        key = (tenant, destination)
        if news == "stopped":
            if key not in self._stopped:
                self._stopped.add(key)
                self._asked.set()
        elif key in self._stopped:
            self._stopped.discard(key)
            self._owe(key, tell=True)
        elif key in self._elsewhere and key not in self._delayed:
            # The answer may be the last one for hours: a call that would come too soon after
            # another waits its turn.
            wait_s = self._told_at.get(key, 0.0) + APART_S - time.monotonic()
            self._delayed[key] = asyncio.get_running_loop().call_later(
                max(0.0, wait_s), self._called_for, key
            )

    async def remind(self) -> None:
        """Say again what this process sends nothing to: a worker that has started since does
        not know it.
        """
        if self._stopped:
            await self._bus.send(self._subjects.stopped, _encode(sorted(self._stopped)))

    async def start(self) -> None:
        """Listen, and let what waits be due, before the lanes bring anything: the oldest shall not
        be sent back.
        """
        await self._bus.listen(self._subjects.recovered, self._recovered_elsewhere)
        await self._bus.listen(self._subjects.stopped, self._stopped_elsewhere)
        await self._round()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._asked.wait()
            await self._round()

    async def _round(self) -> None:
        # before the work: what is asked meanwhile sets it again and has a round of its own
        self._asked.clear()
        owed, self._owed = self._owed, {}
        if owed:
            await self._call(owed)
        else:
            await self.remind()

    async def _call(self, owed: Mapping[Key, bool]) -> None:
        try:
            await self._ledger.make_due(list(owed))
        except StoreError as error:
            log.warning("recovery.not_due", destinations=len(owed), error=type(error).__name__)
            await asyncio.sleep(RETRY_S)
            for key, tell in owed.items():
                self._owe(key, tell=tell)
            return
        for key in owed:
            self._wake(*key)
        told = [key for key, tell in owed.items() if tell]
        if told:
            await self._bus.send(self._subjects.recovered, _encode(told))

    def _called_for(self, key: Key) -> None:
        self._delayed.pop(key, None)
        if key in self._elsewhere and key not in self._stopped:
            self._owe(key, tell=True)

    def _owe(self, key: Key, *, tell: bool) -> None:
        self._elsewhere.discard(key)
        if tell:
            self._told_at[key] = time.monotonic()
        self._owed[key] = tell or self._owed.get(key, False)
        self._asked.set()

    def _forget(self, key: Key) -> None:
        self._stopped.discard(key)
        self._elsewhere.discard(key)
        self._told_at.pop(key, None)
        delayed = self._delayed.pop(key, None)
        if delayed is not None:
            delayed.cancel()

    def _recovered_elsewhere(self, body: bytes) -> None:
        for key in _keys(body):
            self._elsewhere.discard(key)
            self._try_now(*key)
            self._wake(*key)

    def _stopped_elsewhere(self, body: bytes) -> None:
        """A process hears its own message too, and ignores it."""
        self._elsewhere.update(
            key for key in _keys(body) if key in self._terms and key not in self._stopped
        )


def _keys(body: bytes) -> list[Key]:
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        log.error("recovery.unreadable", error=type(error).__name__)
        return []
