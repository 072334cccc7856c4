"""What NATS holds, as a test looks at it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import nats
import nats.js.errors

from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import unseal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nats.js import JetStreamContext


class Lanes:
    """Streams, consumers and plans of one server."""

    def __init__(self, jetstream: JetStreamContext, keyring: Keyring) -> None:
        self.jetstream, self._keyring = jetstream, keyring

    async def streams(self) -> dict[str, str | None]:
        """Tenants' streams by name, each with its owner."""
        found = {}
        for info in await self.jetstream.streams_info():
            name = str(info.config.name)
            if name.startswith(names.STREAM_PREFIX):
                found[name] = (info.config.metadata or {}).get("sinal.dev/owner")
        return found

    async def consumers(self, slug: str) -> set[str]:
        """Consumers of a tenant."""
        return {info.name for info in await self.jetstream.consumers_info(names.stream(slug))}

    async def plans(self) -> dict[str, TenantPlan]:
        """Plans that the runtime is given, by slug."""
        try:
            bucket = await self.jetstream.key_value(names.PLANS_BUCKET)
            keys = await bucket.keys()
        except (nats.js.errors.NoKeysError, nats.js.errors.NotFoundError):
            return {}
        found = {}
        for key in keys:
            entry = await bucket.get(key)
            found[key] = unseal(entry.value or b"", self._keyring)
        return found


@asynccontextmanager
async def lanes(url: str, keyring: Keyring) -> AsyncIterator[Lanes]:
    """A look at a server."""
    client = await nats.connect(url, connect_timeout=5)
    try:
        yield Lanes(client.jetstream(), keyring)
    finally:
        await client.close()
