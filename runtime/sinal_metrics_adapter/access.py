"""Who asks and whether they may: decided by the API server, as for any of its extensions.

Whoever shows the API server's own certificate is believed whom it asks for; anybody else needs a
token that the API server knows. What they may is asked there too. Answers are remembered for
seconds; tokens only as their hash.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import unquote

from sinal_core.aio.clock import MonotonicClock
from sinal_metrics_adapter.errors import ClusterUnavailable, forbidden, not_now, unauthorised
from sinal_metrics_adapter.ports import FrontProxy, Reviews, User, Wish

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

REMEMBER_S = 10.0
REMEMBER = 1_000  # answers of a kind
ANONYMOUS = "system:anonymous"
# the group of everybody known; who is asked for may come without it
AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"  # may everything in every cluster, so that nobody has to be asked

T = TypeVar("T")


class Memory(Generic[T]):
    """Answers of the last seconds."""

    def __init__(self, clock: MonotonicClock) -> None:
        self._clock = clock
        self._known: dict[Hashable, tuple[float, T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, asked for when it is not known; an error is not remembered."""
        now = self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        answer = await ask()
        self._known.pop(key, None)
        while len(self._known) >= REMEMBER:
            del self._known[next(iter(self._known))]
        self._known[key] = (now + REMEMBER_S, answer)
        return answer


class Authorizer:
    """Knows callers and what they may."""

    def __init__(self, reviews: Reviews, *, clock: MonotonicClock = time) -> None:
        self._reviews = reviews
        self._users: Memory[User | None] = Memory(clock)
        self._verdicts: Memory[tuple[bool, str]] = Memory(clock)
        self.front: FrontProxy | None = None

    async def user(self, headers: CIMultiDictProxy[str], certificate_name: str | None) -> User:
        """Who asks; raises Failure.

        `certificate_name` is of a client certificate that the API server's CA signed.
        """
        found = self._proxied(headers, certificate_name) or await self._of_token(headers)
        if found.name == ANONYMOUS or AUTHENTICATED in found.groups:
            return found
        return replace(found, groups=(*found.groups, AUTHENTICATED))

    async def _of_token(self, headers: CIMultiDictProxy[str]) -> User:
        scheme, _, token = next(iter(headers.getall("Authorization", ())), "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorised()
        digest = hashlib.sha256(token.encode()).digest()
        try:
            user = await self._users.get(digest, lambda: self._reviews.review_token(token.strip()))
        except ClusterUnavailable as error:
            raise not_now(f"who asks can't be found out now: {error}") from error
        if user is None:
            raise unauthorised()
        return user

    async def allow(self, user: User, wish: Wish) -> None:
        """Return when they may; raises Failure."""
        if MASTERS in user.groups:
            return
        try:
            allowed, said = await self._verdicts.get(
                (user.key, wish), lambda: self._reviews.review_access(user, wish)
            )
        except ClusterUnavailable as error:
            raise not_now(f"whether {user.name} may can't be found out now: {error}") from error
        if not allowed:
            raise forbidden(f"{user.name!r} may not {_words(wish)}" + (f": {said}" if said else ""))

    def _proxied(self, headers: CIMultiDictProxy[str], certificate_name: str | None) -> User | None:
        front = self.front
        if front is None or certificate_name is None:
            return None
        if front.allowed_names and certificate_name not in front.allowed_names:
            return None
        name = _first(headers, front.user_headers)
        if not name:
            return None
        groups = next(
            (tuple(found) for key in front.group_headers if (found := headers.getall(key, ()))), ()
        )
        return User(
            name, groups, _first(headers, front.uid_headers), _extra(headers, front.extra_prefixes)
        )


def _first(headers: CIMultiDictProxy[str], names: Sequence[str]) -> str:
    return next((found[0] for name in names if (found := headers.getall(name, ()))), "")


def _extra(
    headers: CIMultiDictProxy[str], prefixes: Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    """Further facts about the user; keys come escaped, because headers have no case."""
    found: dict[str, tuple[str, ...]] = {}
    for header in headers.keys():  # noqa: SIM118 - a multidict's keys, each as often as it comes
        for prefix in prefixes:
            if header.lower().startswith(prefix.lower()):
                key = unquote(header[len(prefix) :].lower())
                found[key] = tuple(headers.getall(header, ()))
    return found


def _words(wish: Wish) -> str:
    return (
        f"list {wish.metric} in the namespace {wish.namespace!r}"
        if wish.metric
        else f"get {wish.path}"
    )
