"""Keeps what processes of the edge count, as they tell it.

Any one replica of housekeeping takes each telling.

Who tells gets an answer only when it is kept: what gets none is told again, and to keep it twice
changes nothing.
"""

from __future__ import annotations

import msgspec
import structlog

from sinal_core.nats.client import Bus
from sinal_core.postgres.errors import StoreError
from sinal_crds.names import TALLY_SUBJECT
from sinal_hub.model.events import decode_tallies
from sinal_hub.store.tenant_status import TenantStatusStore

log = structlog.get_logger(__name__)

QUEUE = "housekeeping"


async def keep(bus: Bus, store: TenantStatusStore) -> None:
    """Take tellings for the life of the connection."""

    async def told(body: bytes) -> bytes | None:
        try:
            await store.note(decode_tallies(body))
        except msgspec.MsgspecError as error:
            log.error("tallies.unreadable", error=type(error).__name__)
        except StoreError as error:
            log.warning("tallies.not_kept", error=type(error).__name__)
        else:
            return b""
        return None

    await bus.serve(TALLY_SUBJECT, told, queue=QUEUE)
