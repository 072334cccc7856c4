"""What a role is, and what all roles share: settings, dependencies, things to release in reverse
order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import structlog

from sinal_core.aio.periodic import PeriodicTask, Run, Scheduler
from sinal_core.http.settings import ListenerSettings
from sinal_core.nats.settings import NatsSettings
from sinal_core.telemetry.settings import FaultSettings, LogSettings, MetricsSettings, TraceSettings

if TYPE_CHECKING:
    from sinal_core.http.readiness import Readiness
    from sinal_core.nats import Bus
    from sinal_core.telemetry.tracing import Tracer

log = structlog.get_logger(__name__)


CONNECT_S = 2.0  # to a broker that an edge with plans of its own can do without
DRAIN_S = 3.0


class RoleSettings(NatsSettings, ListenerSettings, MetricsSettings, LogSettings, FaultSettings):
    """What every role reads."""


R = TypeVar("R", bound=RoleSettings)


class BadSettings(Exception):
    """Settings that a role can't work with; the message names them and says what helps."""


class Role(Protocol):
    """Something that runs until it is stopped."""

    async def start(self) -> None:
        """Return once it works."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and release everything."""
        ...

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        ...

    async def standing(self) -> Readiness:
        """Whether it can do its work, and what probes are told."""
        ...

    def observe(self) -> None:
        """Look at what its metrics tell of this moment."""
        ...


class Background:
    """Tasks of a role: cancelled together."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Awaitable[None]) -> None:
        """Run something that never returns by itself."""

        async def wrapped() -> None:
            await work

        self._tasks.append(asyncio.create_task(wrapped()))

    def schedule(self, *tasks: PeriodicTask) -> None:
        """Run tasks whenever they are due; a failure is logged and does not end them."""
        self.run(Scheduler(tasks, ended=_log_failure).run())

    async def stop(self) -> None:
        """Cancel all and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def _log_failure(run: Run) -> None:
    if run.error is not None:
        log.warning("chore.failed", what=run.task, error=type(run.error).__name__)


class RoleBase(Generic[R]):
    """What all roles share: settings, things to release at the end in reverse order,
    dependencies.

    By itself it has no keys: the metrics adapter has none.
    """

    role: ClassVar[str] = ""  # as `sinal run` names it

    def __init__(self, settings: R) -> None:
        from sinal_core.telemetry import metrics

        metrics.begin(self.role or type(self).__name__.lower(), tenants=settings.metrics_tenants)
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._checks: dict[str, Callable[[], Awaitable[bool]]] = {}
        self._tracer: Tracer | None = None

    async def stop(self) -> None:
        """Finish what is under way, release everything."""
        await self._stack.aclose()

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        return {name: await check() for name, check in self._checks.items()}

    async def standing(self) -> Readiness:
        """Whether it can do its work, and what probes are told."""
        from sinal_core.http.readiness import of_answers

        return of_answers(await self.readiness())

    def observe(self) -> None:
        """Look at what its metrics tell of this moment: nothing, where each is kept as it
        changes.
        """

    async def _bus(self, name: str, *, wait_s: float | None = None) -> Bus:
        """Connected; with `wait_s` after so long at most, and for ever trying."""
        from sinal_core.nats import Bus

        settings = self._settings
        bus = await Bus.connect(
            settings.nats_url,
            name=name,
            wait_s=wait_s,
            tracer=self._tracer,
            authority=settings.nats_authority,
        )
        self._stack.push_async_callback(bus.close)

        async def connected() -> bool:
            return bus.connected

        self._checks["nats"] = connected
        return bus

    def _trace(self, service: str, settings: TraceSettings) -> None:
        """Trace what the role does, where a collector is set.

        Before anything that shall be traced is made.
        """
        from sinal_core.telemetry.tracing import connect

        self._tracer = connect(settings.otlp_endpoint, service=service, ratio=settings.trace_ratio)
        if self._tracer is not None:
            self._stack.push_async_callback(self._tracer.close)
