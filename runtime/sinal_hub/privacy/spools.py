"""Reaching the disks of the edge: an erasure is told to every process.

Each takes the person out of its own spool.

Nobody answers and nobody is waited for: a process that is away, or whose broker is, replays its
spool later into matching's marks, which drop what is left of the person there.
"""

from __future__ import annotations

import structlog

from sinal_core.nats.client import Bus
from sinal_core.telemetry.places import where
from sinal_crds import names
from sinal_hub.model.events import Forget, decode_forget, encode
from sinal_hub.spool import Detour
from sinal_hub.spool.erasure import keep_others
from sinal_hub.status import ports

log = structlog.get_logger(__name__)


class BroadcastSpools:
    """Tells every process of the edge; satisfies `ports.Spools`."""

    def __init__(self, bus: ports.Bus) -> None:
        self._bus = bus

    async def erase(self, wanted: Forget) -> None:
        """Tell them."""
        await self._bus.send(names.FORGET_SUBJECT, encode(wanted))


async def obey(bus: Bus, detour: Detour) -> None:
    """Take erased people out of this process's spool as they are told, for the life of the
    connection.
    """

    async def told(body: bytes) -> None:
        try:
            wanted = decode_forget(body)
            keep = keep_others(
                tenant=wanted.tenant,
                emails=wanted.emails,
                phones=wanted.phones,
                orders=wanted.orders,
            )
            gone = await detour.erase(keep)
        except Exception as error:
            log.error("privacy.spool_not_searched", error=type(error).__name__, at=where(error))
        else:
            log.info("privacy.spool_searched", tenant=wanted.tenant, records=gone)

    await bus.serve(names.FORGET_SUBJECT, told)
