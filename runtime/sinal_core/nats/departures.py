"""The KV bucket of departures as the runtime sees it: Tenants whose data are to go
(`sinal_crds.departures`).
"""

from __future__ import annotations

from typing import Protocol

import msgspec
import structlog

from sinal_core.nats.errors import BusRefused, LaneMissing
from sinal_crds.departures import Departure, UnknownDeparture, decode
from sinal_crds.names import DEPARTURES_BUCKET

log = structlog.get_logger(__name__)

_STREAM = f"KV_{DEPARTURES_BUCKET}"
_SUBJECT = f"$KV.{DEPARTURES_BUCKET}."
_NO_MESSAGE = 10037


class _Stored(msgspec.Struct, frozen=True):
    data: bytes = b""  # base64 on the wire


class _Got(msgspec.Struct, frozen=True):
    message: _Stored


class _State(msgspec.Struct, frozen=True):
    messages: int = 0
    subjects: dict[str, int] = {}


class _Info(msgspec.Struct, frozen=True):
    state: _State
    total: int = 0


_got = msgspec.json.Decoder(_Got).decode
_info = msgspec.json.Decoder(_Info).decode


class Broker(Protocol):
    """The part of the bus that this needs."""

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = ...) -> bytes: ...


class DepartureBucket:
    """Every method raises BusError."""

    def __init__(self, bus: Broker) -> None:
        self._bus = bus

    async def all(self) -> list[Departure]:
        """Those that are to be worked off, by key; one that can't be read is logged and left."""
        found = []
        for subject in sorted(await self._subjects()):
            raw = await self._get(subject)
            if raw is None:
                continue
            try:
                found.append(decode(raw))
            except UnknownDeparture as error:
                log.error(
                    "departures.unreadable", key=subject.removeprefix(_SUBJECT), error=str(error)
                )
        return found

    async def remove(self, departure: Departure) -> None:
        """Forget one that is worked off."""
        wanted = msgspec.json.encode({"filter": _SUBJECT + departure.key})
        await self._bus.api(f"STREAM.PURGE.{_STREAM}", wanted)

    async def _subjects(self) -> list[str]:
        found: list[str] = []
        total = 1
        while len(found) < total:
            query = msgspec.json.encode({"subjects_filter": f"{_SUBJECT}>", "offset": len(found)})
            try:
                info = _info(await self._bus.api(f"STREAM.INFO.{_STREAM}", query))
            except LaneMissing:
                return []  # the operator has not made the bucket yet
            found += info.state.subjects
            total = info.total if info.state.subjects else 0
        return found

    async def _get(self, subject: str) -> bytes | None:
        try:
            answer = await self._bus.api(
                f"STREAM.MSG.GET.{_STREAM}", msgspec.json.encode({"last_by_subj": subject})
            )
        except LaneMissing:
            return None
        except BusRefused as error:
            if error.err_code != _NO_MESSAGE:
                raise
            return None
        return _got(answer).message.data
