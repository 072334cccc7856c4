"""What NATS holds, as a test looks at it."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import nats
import nats.js.errors

from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import unseal
from sinal_crds.tenant_status import ORPHANS_KEY, Orphan, decode_orphans

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
        """Plans that the runtime is given, by slug. (A watch for keys misses one that is just being
        replaced.)
        """
        prefix = f"$KV.{names.PLANS_BUCKET}."
        try:
            bucket = await self.jetstream.key_value(names.PLANS_BUCKET)
            info = await self.jetstream.stream_info(
                f"KV_{names.PLANS_BUCKET}", subjects_filter=f"{prefix}>"
            )
        except nats.js.errors.NotFoundError:
            return {}
        found = {}
        for subject in info.state.subjects or {}:
            with suppress(nats.js.errors.KeyNotFoundError):  # removed: its mark is there
                entry = await bucket.get(slug := subject.removeprefix(prefix))
                found[slug] = unseal(entry.value or b"", self._keyring)
        return found

    async def orphans(self) -> list[Orphan]:
        """Plans without a Tenant, as the operator tells the runtime."""
        try:
            subject = f"$KV.{names.STATUS_BUCKET}.{ORPHANS_KEY}"
            message = await self.jetstream.get_last_msg(f"KV_{names.STATUS_BUCKET}", subject)
        except nats.js.errors.NotFoundError:
            return []
        return decode_orphans(message.data or b"[]")


@asynccontextmanager
async def lanes(url: str, keyring: Keyring) -> AsyncIterator[Lanes]:
    """A look at a server."""
    client = await nats.connect(url, connect_timeout=120)
    try:
        yield Lanes(client.jetstream(), keyring)
    finally:
        await client.close()
