"""Keeps what processes of the edge count, as they tell it; any one replica of housekeeping takes each telling.

Who tells gets an answer only when it is kept: what gets none is told again, and to keep it twice changes nothing.
"""

from __future__ import annotations

import msgspec
import structlog
from nats.aio.msg import Msg

from sinal_crds.names import TALLY_SUBJECT
from sinal_runtime.bus.client import Bus
from sinal_runtime.events import decode_tallies
from sinal_runtime.store.errors import StoreError
from sinal_runtime.store.facts import FactStore

log = structlog.get_logger(__name__)

QUEUE = "housekeeping"


async def keep(bus: Bus, store: FactStore) -> None:
    """Take tellings for the life of the connection."""

    async def told(message: Msg) -> None:
        try:
            await store.note(decode_tallies(message.data))
        except msgspec.MsgspecError as error:
            log.error("tallies.unreadable", error=type(error).__name__)
        except StoreError as error:
            log.warning("tallies.not_kept", error=type(error).__name__)
        else:
            await bus.send(message.reply)

    await bus.link.client.subscribe(TALLY_SUBJECT, queue=QUEUE, cb=told)
