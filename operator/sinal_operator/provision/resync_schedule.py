"""What to look at and when, so that a platform at rest costs a few requests a minute and a fault is
found in seconds.

NATS tells of streams and consumers that people delete or change (advisories), and workers tell of
lanes they miss; both name the tenant, and only that one is looked at. Twice a pulse request is
enough to see that nothing else happened: how many streams and consumers there are, and whether the
bucket of plans is as it was left. Advisories may be lost, and nobody tells of a consumer that was
given other settings, so that everything is looked at now and then all the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from types import TracebackType

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from sinal_core.nats.jetstream import Account
from sinal_crds import names
from sinal_operator.provision import desired

SWEEP_S = 60.0  # everything is listed so often
TURNS = 30  # sweeps in which every tenant's consumers are looked at once
_ADVISORIES = (
    "$JS.EVENT.ADVISORY.STREAM.DELETED.*",
    "$JS.EVENT.ADVISORY.STREAM.UPDATED.*",
    "$JS.EVENT.ADVISORY.CONSUMER.DELETED.*.*",
)
_BUCKETS = frozenset(f"KV_{name}" for name in desired.BUCKETS)
EVERYTHING = ""  # in place of a slug


@dataclass(frozen=True)
class Look:
    """The tenants to bring to their plans now, and those of them whose consumers are looked at one
    by one.
    """

    slugs: frozenset[str] | None  # None: all of them
    deep: bool | Collection[str] = True

    def covers(self, slug: str) -> bool:
        """Whether that tenant is to be looked at."""
        return self.slugs is None or slug in self.slugs


NOTHING = Look(frozenset())
ALL = Look(None)


class ResyncSchedule:
    """What was heard, and when everything was looked at last."""

    def __init__(
        self,
        client: Client,
        *,
        sweep_s: float = SWEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._sweep_s, self._clock = client, sweep_s, clock
        self._asked: set[str] = set()
        self._subscriptions: list[Subscription] = []
        self._account: Account | None = None
        self._sweep_at = 0.0
        self._sweeps = 0

    async def __aenter__(self) -> ResyncSchedule:
        self._subscriptions = [
            await self._client.subscribe(names.PROVISION_SUBJECT, cb=self._missed)
        ]
        self._subscriptions += [
            await self._client.subscribe(subject, cb=self._advised) for subject in _ADVISORIES
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._client.is_closed:
            for subscription in self._subscriptions:
                await subscription.unsubscribe()

    @property
    def asked(self) -> bool:
        """Whether somebody has told of something to look at."""
        return bool(self._asked)

    def heard(self) -> frozenset[str]:
        """What was told since the last time."""
        asked, self._asked = frozenset(self._asked), set()
        return asked

    def again(self, asked: Iterable[str]) -> None:
        """What was told is not done with."""
        self._asked |= set(asked)

    def look(
        self,
        asked: Collection[str],
        unsettled: Collection[str],
        account: Account,
        slugs: Iterable[str],
    ) -> Look:
        """What to look at, when nothing speaks against what is known of the plans' bucket."""
        if EVERYTHING in asked:
            return self.everything(account)
        if account != self._account or self._clock() >= self._sweep_at:
            whole = self.everything(account)
            return Look(whole.slugs, self._in_turn(slugs) | set(asked) | set(unsettled))
        return Look(frozenset(asked) | frozenset(unsettled))

    def everything(self, account: Account | None) -> Look:
        """Look at everything; `account` is what was so before."""
        self._account = account
        self._sweep_at = self._clock() + self._sweep_s * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
        return ALL

    def _in_turn(self, slugs: Iterable[str]) -> set[str]:
        self._sweeps += 1
        return {slug for n, slug in enumerate(slugs) if n % TURNS == self._sweeps % TURNS}

    async def _missed(self, message: Msg) -> None:
        """A worker misses a lane, or all of them."""
        self._asked.add(message.data.decode(errors="replace"))

    async def _advised(self, message: Msg) -> None:
        """Somebody, perhaps we, has deleted or changed something."""
        _, _, _, kind, _, stream, *_ = message.subject.split(".")
        if stream in _BUCKETS:
            # the consumers of a bucket are those who watch it, and come and go
            if kind == "STREAM":
                self._asked.add(EVERYTHING)
            return
        try:
            self._asked.add(names.slug_of_stream(stream))
        except ValueError:
            return  # not a tenant's
