"""Values of the Secrets that objects refer to, and of no others; kept right by watch events.

A Secret is fetched when something first refers to it, and held until nothing does. One value that
is not text spoils itself, not its neighbours. Invariant: no representation holds a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sinal_crds.loading import Objects
from sinal_crds.references import SECRET_KEY_MISSING, SECRET_MALFORMED, ReferenceProblem
from sinal_crds.secrets import BadSecret, Key, Secrets, secret_data
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.resources import SECRETS, SECRETS_SELECTOR

MANY = 50  # from so many missing on, one listing is cheaper than a request for each

Body = dict[str, Any]


@dataclass(frozen=True)
class CachedSecret:
    """One Secret; `data` is None where there is none."""

    version: int
    data: dict[str, str] | None = field(repr=False)
    faults: tuple[str, ...] = ()


def read(body: Body) -> CachedSecret:
    """The values that are text, and what is wrong with the others."""
    data: dict[str, str] = {}
    faults = []
    for key, value in (body.get("data") or {}).items():
        try:
            data |= secret_data({"data": {key: value}})
        except BadSecret:
            faults.append(f"data.{key} is not UTF-8 text")
    return CachedSecret(int(body["metadata"]["resourceVersion"]), data, tuple(faults))


def references(objects: Objects) -> set[Key]:
    """The Secrets that objects refer to."""
    found = {(d.namespace, d.spec.meta.access_token_secret_ref.name) for d in objects.destinations}
    for item in objects.integrations:
        if item.spec.credentials_secret_ref is not None:
            found.add((item.namespace, item.spec.credentials_secret_ref.name))
    return found


class SecretCache:
    """Secrets in use."""

    def __init__(self, client: ApiServerClient) -> None:
        self._client = client
        self._wanted: set[Key] = set()
        self._held: dict[Key, CachedSecret] = {}

    def event(self, body: Body, *, gone: bool) -> bool:
        """Note a Secret's event; returns whether plans may change by it."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if key not in self._wanted:
            return False
        fresh = read(body)
        return self._put(key, CachedSecret(fresh.version, None) if gone else fresh)

    def forget(self) -> None:
        """Fetch everything anew next time: events may have been missed."""
        self._held.clear()

    async def fetch(self, objects: Objects) -> Secrets:
        """The Secrets that these objects refer to; raises Unreachable or Refused."""
        # Before any request: a Secret that changes while it is fetched is told of meanwhile.
        self._wanted = references(objects)
        self._held = {key: held for key, held in self._held.items() if key in self._wanted}
        missing = self._wanted - self._held.keys()
        if len(missing) > MANY:
            await self._list(missing)
        else:
            await asyncio.gather(*map(self._get, missing))
        return Secrets(
            {key: held.data for key, held in self._held.items() if held.data is not None}
        )

    def explained(self, problems: Iterable[ReferenceProblem]) -> tuple[ReferenceProblem, ...]:
        """The problems, with the true reason where a value is missing because it can't be read."""
        return tuple(map(self._explain, problems))

    def _explain(self, problem: ReferenceProblem) -> ReferenceProblem:
        if problem.reason != SECRET_KEY_MISSING or problem.target is None:
            return problem
        _, namespace, name = problem.target
        held = self._held.get((namespace, name))
        if held is None or not held.faults:
            return problem
        message = f"{problem.message}; its {', '.join(held.faults)}: put the text itself there"
        return replace(problem, reason=SECRET_MALFORMED, message=message)

    async def _get(self, key: Key) -> None:
        body = await self._client.get(SECRETS, *key)
        self._put(key, CachedSecret(0, None) if body is None else read(body))

    async def _list(self, missing: set[Key]) -> None:
        # Those that the listing does not find are known to be absent. Version 0 lets any event win.
        for key in missing:
            self._put(key, CachedSecret(0, None))
        async for bodies, _ in self._client.pages(SECRETS, fields=SECRETS_SELECTOR):
            for body in bodies:
                key = (body["metadata"]["namespace"], body["metadata"]["name"])
                if key in missing:
                    self._put(key, read(body))

    def _put(self, key: Key, fresh: CachedSecret) -> bool:
        before = self._held.get(key)
        if before is not None and before.version > fresh.version:
            return False
        self._held[key] = fresh
        return before is None or (before.data, before.faults) != (fresh.data, fresh.faults)
