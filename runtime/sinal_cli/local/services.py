"""The embedded services of one stack, started and stopped together, and started again when one
dies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from sinal_cli.data_folder import Instance
from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.postgres import Postgres
from sinal_cli.embedded.process import Managed, ServiceStartError
from sinal_cli.embedded.redis import Redis
from sinal_cli.embedded.sandbox import SandboxService
from sinal_cli.local.bulletin import Say
from sinal_core.aio.backoff import NONE, Backoff

LOOK_S = 0.2
# between two starts of a service that keeps ending
PAUSE = Backoff(base_s=0.5, cap_s=30.0, jitter=NONE)
MANY, WITHIN_S = 5, 120.0  # ends in so short a time are a fault that a person must look at


class Services:
    """PostgreSQL, NATS, Redis and, without a Graph API of the user's, the Meta sandbox."""

    def __init__(self, instance: Instance, *, sandbox_port: int | None) -> None:
        folder, log, secrets = instance.folder, instance.log, instance.secrets
        self.postgres = Postgres(
            folder / "postgres", password=secrets.postgres, log=log("postgres")
        )
        self.nats = Nats(folder / "nats", password=secrets.nats, log=log("nats"))
        self.redis = Redis(folder / "redis", password=secrets.redis, log=log("redis"))
        self.sandbox: SandboxService | None = None
        if sandbox_port is not None:
            self.sandbox = SandboxService(
                folder / "sandbox.jsonl", port=sandbox_port, log=log("sandbox")
            )
        self.all: tuple[Managed, ...] = tuple(
            one for one in (self.postgres, self.nats, self.redis, self.sandbox) if one is not None
        )

    async def start(self) -> None:
        """Start all at once; raises ServiceError."""
        try:
            async with asyncio.TaskGroup() as starting:
                for one in self.all:
                    starting.create_task(one.start())
        except ExceptionGroup as group:
            # Callers expect one error in words. What failed beside it has a log of its own.
            raise group.exceptions[0] from None

    async def stop(self) -> None:
        """Stop all at once."""
        await asyncio.gather(*(one.stop() for one in self.all))


class ServiceWatch:
    """Starts services again that ended by themselves, and says so."""

    def __init__(self, services: tuple[Managed, ...], say: Say) -> None:
        self._services, self._say = services, say
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Watch from now on."""
        self._tasks = [asyncio.create_task(self._keep(one)) for one in self._services]

    async def stop(self) -> None:
        """Watch no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, service: Managed) -> None:
        ends: deque[float] = deque(maxlen=MANY)
        while True:
            await asyncio.sleep(LOOK_S)
            if service.end is not None:
                await self._bring_back(service, ends)

    async def _bring_back(self, service: Managed, ends: deque[float]) -> None:
        """Start until it stays.

        The first failure may be its own children's, who have not noticed yet.
        """
        clock = asyncio.get_running_loop().time
        who, log, failures = f"{service.name} (pid {service.pid}) {service.end}", service.log, 0
        while True:
            ends.append(clock())
            await asyncio.sleep(pause_s(ends))
            try:
                await service.start()
            except (ServiceStartError, OSError):
                await service.stop()
                failures += 1
                if failures == 2:
                    self._say(
                        "ended", f"{who} and does not start: tried again and again\nsee {log}"
                    )
            else:
                break
        self._say("restarted", f"{who}: started again")
        if len(ends) == MANY and ends[-1] - ends[0] < WITHIN_S:
            self._say("error", f"{service.name} ended {MANY} times in {WITHIN_S:.0f} s\nsee {log}")
            ends.clear()


def pause_s(ends: Sequence[float]) -> float:
    """How long to wait before a start: not at all after the first end in a while, then twice as
    long each time.
    """
    recent = sum(1 for at in ends if ends[-1] - at < WITHIN_S)
    return 0.0 if recent == 1 else PAUSE.full_s(recent - 1)
