"""What goes wrong and when: faults as data, drawn from the schedule's generator.

Every schedule has one main fault, by turns of its seed, so that any run of `len(MAINS)` seeds in a
row shows them all; the others are drawn. Windows of Graph faults are shorter than the waits of the
breaker would need to grow long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tests.support.chaos import model
from tests.support.chaos.stories import Order
from tests.support.chaos.world import PIXELS

Kind = Literal["kill", "freeze", "restart", "wipe", "disk_full", "spool_full", "graph"]

ROLES = ("ingest", "match", "match-2", "dispatch", "dispatch-2", "operator", "api", "housekeeping")
SERVICES = ("nats", "postgres", "redis")
GRAPH_TIMEOUT_S = 2.0
LEASE_S = 8.0  # at least: a role that is frozen for longer has lost what it held
FREEZE_S = (LEASE_S + 1.0, LEASE_S + 3.0)


@dataclass(frozen=True)
class Fault:
    """One fault: `target` is a role, a service or a pixel.

    `script` is the sandbox's, for faults of the Graph API.
    """

    kind: Kind
    target: str
    at_s: float
    for_s: float
    script: dict[str, Any] | None = None

    def __str__(self) -> str:
        what = f" {self.script['kind']}" if self.script else ""
        return f"{self.at_s:5.1f} s: {self.kind}{what} {self.target} for {self.for_s:.1f} s"


@dataclass(frozen=True)
class Drawing:
    """What a fault is drawn from."""

    rng: Random
    orders: Sequence[Order]
    over_s: float

    def moment(self) -> float:
        """A time while the load runs."""
        return self.rng.uniform(0.1, 0.9) * self.over_s


Draw = Callable[[Drawing], Fault]


def kill(role: str) -> Draw:
    """SIGKILL, and a new process a moment later."""
    return lambda drawing: Fault("kill", role, drawing.moment(), drawing.rng.uniform(0.1, 1.5))


def restart(service: str) -> Draw:
    """SIGKILL to a service, which comes back with what its disk has."""
    return lambda drawing: Fault(
        "restart", service, drawing.moment(), drawing.rng.uniform(0.1, 3.0)
    )


def freeze(role: str) -> Draw:
    """SIGSTOP for longer than a claim holds: others take over from a worker that then wakes up."""
    return lambda drawing: Fault("freeze", role, drawing.moment(), drawing.rng.uniform(*FREEZE_S))


def wipe(drawing: Drawing) -> Fault:
    """NATS loses its disk, when everything that it alone had was handed on."""
    return Fault("wipe", "nats", drawing.moment(), drawing.rng.uniform(0.1, 1.0))


def disk_full(drawing: Drawing) -> Fault:
    """Not a byte is left on the disk of NATS."""
    return Fault("disk_full", "nats", drawing.moment(), drawing.rng.uniform(1.0, 3.0))


def spool_full(drawing: Drawing) -> Fault:
    """NATS is dead and not a byte is left for the spool: there is nowhere to put an event."""
    return Fault("spool_full", "nats", drawing.moment(), drawing.rng.uniform(1.0, 3.0))


def graph(kind: str, **more: object) -> Draw:
    """One pixel misbehaves for a while."""

    def draw(drawing: Drawing) -> Fault:
        at_s, for_s = drawing.moment(), drawing.rng.uniform(0.5, 3.0)
        pixel = drawing.rng.choice(PIXELS)
        window = {"pixel": pixel.number, "start_in_s": at_s, "for_s": for_s}
        return Fault("graph", pixel.name, at_s, for_s, {"kind": kind, **window, **more})

    return draw


def poison(drawing: Drawing) -> Fault:
    """Meta refuses one event for ever; those beside it must not suffer."""
    candidates = [
        o
        for o in drawing.orders
        if {model.SENT} == {ending.get("approved") for ending in model.endings(o)}
    ]
    order = drawing.rng.choice(candidates)
    _, event_id = model.at_meta(order, "approved")
    pixel = drawing.rng.choice(order.shop.pixels)
    refusal = {
        "kind": "error",
        "code": 100,
        "subcode": 2804003,
        "pixel": pixel.number,
        "event_id": event_id,
    }
    return Fault("graph", pixel.name, 0.0, drawing.over_s, refusal)


# After these Meta has the events, and the sender has no answer that says so.
HIDING = frozenset({"latency", "accept_then_hang", "accept_then_reset", "answer_then_reset"})
GRAPH: tuple[Draw, ...] = (
    # Meta takes the events and answers after our time-out
    graph("latency", delay_ms=int(GRAPH_TIMEOUT_S * 1_400)),
    graph("accept_then_hang"),
    graph("accept_then_reset"),
    graph("answer_then_reset"),
    graph("hang"),
    graph("reset"),
    graph("status_500"),
    # throttled; Meta's own headers know minutes only
    graph("error", code=4, status=429, retry_after_s=1),
    graph("html"),
    poison,
)
MAINS: tuple[Draw, ...] = (
    *(kill(role) for role in ROLES),
    *(restart(service) for service in SERVICES),
    *(freeze(role) for role in ("dispatch", "match", "ingest")),
    wipe,
    disk_full,
    spool_full,
    *GRAPH,
)
OTHERS: tuple[Draw, ...] = (
    *(kill(role) for role in ROLES),
    *(restart(service) for service in SERVICES),
    *GRAPH,
)


def draw(drawing: Drawing, seed: int) -> list[Fault]:
    """The faults of a schedule, by their time."""
    chosen = [
        MAINS[seed % len(MAINS)],
        *drawing.rng.choices(OTHERS, k=drawing.rng.choice((0, 1, 1, 2, 3))),
    ]
    return sorted((one(drawing) for one in chosen), key=lambda fault: fault.at_s)
