"""Surveys of the broker that several readers share."""

from __future__ import annotations

import time
from typing import Protocol

from sinal_core.aio.clock import MonotonicClock
from sinal_core.aio.single_flight import SingleFlight
from sinal_core.nats import Survey


class Surveyor(Protocol):
    """Who surveys the broker; `Bus` is one."""

    async def survey(self, *, ages: bool = False) -> Survey:
        """Every tenant, and every lane with work; raises BusError."""
        ...


class Surveys:
    """Surveys of one bus, with ages.

    A listing of a thousand streams is not made for each who wants to see it.
    """

    def __init__(self, bus: Surveyor, *, clock: MonotonicClock = time) -> None:
        self._shared: SingleFlight[Survey] = SingleFlight(
            lambda: bus.survey(ages=True), clock=clock
        )

    def within(self, seconds: float) -> Surveyor:
        """For a reader to whom a survey of the last so many seconds is as good as a new one."""
        return _Within(self._shared, seconds)


class _Within:
    def __init__(self, shared: SingleFlight[Survey], seconds: float) -> None:
        self._shared, self._seconds = shared, seconds

    async def survey(self, *, ages: bool = False) -> Survey:
        del ages  # always there
        return await self._shared.get(within_s=self._seconds)
