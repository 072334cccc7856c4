"""The KV bucket of departures as the runtime sees it: Tenants whose data are to go
(`sinal_crds.departures`).
"""

from __future__ import annotations

from typing import Protocol

import structlog

from sinal_core.nats.jetstream import JetStream
from sinal_crds.departures import Departure, UnknownDeparture, decode
from sinal_crds.names import DEPARTURES_BUCKET

log = structlog.get_logger(__name__)

_STREAM = f"KV_{DEPARTURES_BUCKET}"
_SUBJECT = f"$KV.{DEPARTURES_BUCKET}."


class Broker(Protocol):
    """The part of the bus that this needs."""

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class DepartureBucket:
    """Every method raises BusError."""

    def __init__(self, bus: Broker) -> None:
        self._jetstream = JetStream(bus.api)

    async def all(self) -> list[Departure]:
        """Those that are to be worked off, by key; one that can't be read is logged and left."""
        found = []
        for subject in sorted(await self._jetstream.subjects(_STREAM, f"{_SUBJECT}>")):
            stored = await self._jetstream.last_message(_STREAM, subject)
            if stored is None:
                continue
            try:
                found.append(decode(stored.body))
            except UnknownDeparture as error:
                log.error(
                    "departures.unreadable", key=subject.removeprefix(_SUBJECT), error=str(error)
                )
        return found

    async def remove(self, departure: Departure) -> None:
        """Forget one that is worked off."""
        await self._jetstream.purge(_STREAM, _SUBJECT + departure.key)
