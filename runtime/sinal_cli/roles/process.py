"""One role as a process of its own (`sinal run ROLE`), and what such processes need: a loop, a
stop, the schema.
"""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from sinal_core.aio import gc_tuning
from sinal_core.http.server import HttpServer, ListenError
from sinal_crds.keyring import Keyring, Part

log = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from sinal_cli.roles.base import Role, RoleSettings
    from sinal_cli.roles.plan_role import PlanSettings
    from sinal_core.http.readiness import Readiness

T = TypeVar("T")
P = TypeVar("P", bound="PlanSettings")

# Parts of a keyring that a role can work with: each is meant to have the least of them.
_OF_THE_RUNTIME: frozenset[Part] = frozenset({"whole", "runtime"})
_ENOUGH: Mapping[str, frozenset[Part]] = {
    "operator": frozenset({"whole"}),
    "ingest": frozenset({"whole", "runtime", "edge"}),
}
ROLES = ("ingest", "match", "dispatch", "api", "housekeeping", "operator", "metrics-adapter")


def run_role(name: str, *, files: Sequence[Path]) -> int:
    """One role until SIGTERM or Ctrl-C.

    2 for an unknown role, missing files, bad settings or a bad keyring.
    """
    from sinal_cli.offline import complain

    if name not in ROLES:
        complain(f"unknown role {name!r}; known: {', '.join(ROLES)}")
        return 2
    if name == "metrics-adapter":
        return _run_adapter()
    settings, make = _role(name, files)
    _begin_log(settings)
    return _run_with_keyring(name, settings, make)


def _role(name: str, files: Sequence[Path]) -> tuple[PlanSettings, Callable[[Keyring], Role]]:
    """The settings of a role, read from the environment, and how it is made of a keyring.

    No other role's modules are imported: each has libraries that another starts without.
    """
    match name:
        case "ingest":
            from sinal_cli.roles.ingest import Ingest, IngestSettings

            return _made(IngestSettings(), Ingest)
        case "match":
            from sinal_cli.roles.match import Match, MatchSettings

            return _made(MatchSettings(), Match)
        case "dispatch":
            from sinal_cli.roles.dispatch import Dispatch, DispatchSettings

            return _made(DispatchSettings(), Dispatch)
        case "api":
            from sinal_cli.roles.api import Api, ApiSettings

            return _made(ApiSettings(), Api)
        case "housekeeping":
            from sinal_cli.roles.housekeeping import Housekeeping, HousekeepingSettings

            return _made(HousekeepingSettings(), Housekeeping)
        case _:
            from sinal_cli.roles.operator import OperatorSettings, operator

            return _made(OperatorSettings(), partial(operator, files=files))


def _made(
    settings: P, make: Callable[[P, Keyring], Role]
) -> tuple[PlanSettings, Callable[[Keyring], Role]]:
    return settings, partial(make, settings)


def _begin_log(settings: RoleSettings) -> None:
    from sinal_core.telemetry.logs import configure

    configure(level=settings.log_level, json=settings.log_json)


def _run_with_keyring(name: str, settings: PlanSettings, make: Callable[[Keyring], Role]) -> int:
    """A role that reads plans; 1 where it ends by what it met, 2 where it can't begin."""
    from sinal_cli.offline import complain
    from sinal_cli.roles.base import BadSettings
    from sinal_core.http.health import build
    from sinal_core.http.settings import ProbeSettings
    from sinal_core.telemetry.settings import TraceSettings
    from sinal_core.telemetry.tracing import installed

    try:
        keyring = Keyring.from_json(settings.keyring_file.read_bytes())
    except (OSError, ValueError) as error:
        complain(f"keyring {settings.keyring_file}: {error}; set SINAL_KEYRING_FILE")
        return 2
    if keyring.part not in _ENOUGH.get(name, _OF_THE_RUNTIME):
        complain(
            f"keyring {settings.keyring_file}: it is the {keyring.part} part, which is not "
            f"enough for {name}"
        )
        return 2
    if (
        isinstance(settings, TraceSettings)
        and settings.otlp_endpoint is not None
        and not installed()
    ):
        complain(
            "SINAL_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install sinal[tracing]"
        )
        return 2
    try:
        role = make(keyring)
    except BadSettings as error:
        complain(str(error))
        return 2
    starting = Starting(role)
    port = settings.port_of_probes if isinstance(settings, ProbeSettings) else settings.port
    health = HttpServer(
        build(starting.standing, observe=role.observe), host=settings.host, port=port
    )
    try:
        run_loop(_until_stopped(name, starting, health))
    except (ListenError, BadSettings) as error:
        complain(str(error))
        return 1
    return 0


def _run_adapter() -> int:
    """The one role without a keyring; 2 where it can't begin."""
    from sinal_cli.offline import complain
    from sinal_cli.roles.adapter import AdapterSettings, MetricsAdapter
    from sinal_metrics_adapter.errors import ClusterRefused

    settings = AdapterSettings()
    _begin_log(settings)
    if settings.adapter_external_metrics and importlib.util.find_spec("kubernetes") is None:
        complain("the client of Kubernetes is not installed: install sinal[adapter]")
        return 2
    try:
        run_loop(_until_stopped("metrics-adapter", Starting(MetricsAdapter(settings)), None))
    except ClusterRefused as error:
        complain(str(error))
        return 2
    return 0


class Starting:
    """A role that starts, and what probes are told of it: nothing is ready before the start is
    over.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self._started = False

    async def start(self, stop: asyncio.Event) -> bool:
        """Start, and say whether it has: false where it was stopped while it still waited for what
        it needs.
        """
        starting, stopping = (
            asyncio.ensure_future(self.role.start()),
            asyncio.ensure_future(stop.wait()),
        )
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
        await asyncio.wait({starting, stopping})
        if starting.cancelled():
            return False
        starting.result()
        self._started = True
        return True

    async def standing(self) -> Readiness:
        """Whether the role can do its work, and what it says of itself."""
        from sinal_core.http.readiness import of_answers

        return await self.role.standing() if self._started else of_answers({"started": False})


def run_loop(work: Awaitable[None]) -> None:
    """Run on uvloop."""
    import uvloop

    async def main() -> None:
        await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result.

    None where it was stopped before, and how the work ends that is broken off is no news.
    """
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    ended = working.done()
    for task in (stopping, working):
        task.cancel()
    await asyncio.wait({working, stopping})
    # A signal to the whole group ends a child as well that has not left the group yet; its end is
    # then a failure here.
    failed = working.cancelled() or working.exception() is not None
    return None if stop.is_set() and (failed or not ended) else working.result()


async def _until_stopped(name: str, starting: Starting, health: HttpServer | None) -> None:
    stop, role = stop_event(), starting.role
    try:
        if health is not None:
            await health.start()
        if await starting.start(stop):
            # After the start: what lives as long as the process is there by then.
            gc_tuning.tune()
            probes = getattr(health, "url", None)
            log.info(
                "role.started", role=name, url=getattr(role, "url", None) or probes, probes=probes
            )
            await stop.wait()
    finally:
        await role.stop()
        if health is not None:
            await health.stop()
    log.info("role.stopped", role=name)


def stop_event() -> asyncio.Event:
    """Set by SIGTERM and by Ctrl-C."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
