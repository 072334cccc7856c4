"""Stand-ins for tests of whoever builds on dispatch: a scripted Graph, a clock that is set by hand,
messages of a bus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_hub.meta.answer import GraphAnswer
from sinal_hub.meta.errors import GraphVerdict, Kind

Events = Sequence[Mapping[str, Any]]
Script = Callable[[DestinationPlan, Events], GraphVerdict]


def always(kind: Kind) -> Script:
    """A script that gives the same verdict to every request."""
    return lambda _destination, _events: GraphVerdict(kind=kind)


def refusing(*event_ids: str, kind: Kind = "data", subcode: int | None = 2804019) -> Script:
    """A script that refuses every request holding one of these events, as Meta does, and takes the
    others.
    """

    def answer(_destination: DestinationPlan, events: Events) -> GraphVerdict:
        bad = any(event["event_id"] in event_ids for event in events)
        return (
            GraphVerdict(kind=kind, code=100, subcode=subcode)
            if bad
            else GraphVerdict(kind="delivered", http_status=200)
        )

    return answer


class ScriptedGraph:
    """A Graph whose answers a function gives; keeps what was sent."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or always("delivered")
        self.requests: list[tuple[str, list[Mapping[str, Any]]]] = []  # destination, events

    async def send(self, destination: DestinationPlan, events: Events) -> GraphAnswer:
        """Record the request and answer as scripted."""
        self.requests.append((destination.name, list(events)))
        return GraphAnswer(verdict=self.script(destination, events))


class ManualClock:
    """A clock that only moves when told."""

    def __init__(self, unix_s: float) -> None:
        self._unix_s = unix_s
        self._passed_s = 0.0

    def time(self) -> float:
        """Unix seconds."""
        return self._unix_s + self._passed_s

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed_s += seconds


class StaticPlans:
    """Plans that do not change unless a test sets `tenants`."""

    def __init__(self, *plans: TenantPlan) -> None:
        self.tenants: dict[str, TenantPlan] = {plan.slug: plan for plan in plans}

    @property
    def snapshot(self) -> StaticPlans:
        """Itself."""
        return self


class FakeMessage:
    """A message that keeps its settlement: `ack`, `nak` or `hold` with its delay, or `term`."""

    def __init__(self, body: bytes, *, deliveries: int = 1) -> None:
        self.body = body
        self.deliveries = deliveries
        self.traceparent: str | None = None
        self.settlement: str | None = None
        self.delay_s: float | None = None

    async def ack(self) -> None:
        """Done."""
        self._settle("ack")

    async def nak(self, delay_s: float = 0.0) -> None:
        """Again."""
        self._settle("nak", delay_s)

    async def hold(self, delay_s: float, *, whole_lane: bool = False) -> None:
        """Again, or sooner."""
        del whole_lane
        self._settle("hold", delay_s)

    async def term(self) -> None:
        """Never again."""
        self._settle("term")

    def _settle(self, how: str, delay_s: float | None = None) -> None:
        if self.settlement is None:
            self.settlement, self.delay_s = how, delay_s
