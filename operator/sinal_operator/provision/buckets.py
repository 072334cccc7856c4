"""Reading a KV bucket whole: what is in it at one moment."""

from __future__ import annotations

import asyncio

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from sinal_core.nats.errors import BusUnavailable

LOAD_TIMEOUT_S = 10.0


async def read(client: Client, name: str) -> dict[str, bytes | None]:
    """Every key and its value, None for one that was removed; raises BusUnavailable."""
    found: dict[str, bytes | None] = {}
    try:
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            bucket = await client.jetstream().key_value(name)
            watcher = await bucket.watchall()
            async for entry in watcher:
                # nats-py's mark for the end of what was there; changes would follow.
                if entry is None:
                    break
                found[entry.key] = None if entry.operation else entry.value
            await watcher.stop()  # type: ignore[no-untyped-call]
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BusUnavailable(f"reading the bucket {name}: {type(error).__name__}") from error
    return found
