"""What the edge says of itself.

Its own listener tells that it lives; the rest is for probes and scrapers alone.
"""

from __future__ import annotations

from sinal_core.http.exchange import Answer, Request, json_answer
from sinal_core.http.readiness import Readiness
from sinal_hub.intake.ports import Bus, Detour, Plans

_NO_STORE = ((b"cache-control", b"no-store"),)


class Health:
    """Answers of the process about itself; they tell the truth about the broker and the plans."""

    def __init__(self, *, bus: Bus, plans: Plans, detour: Detour | None = None) -> None:
        self._bus = bus
        self._detour = detour
        self._plans = plans
        self._draining = False

    def drain(self) -> None:
        """From now on not ready: load balancers look elsewhere while requests under way finish."""
        self._draining = True

    async def alive(self, _: Request) -> Answer:
        """`GET /healthz`: the event loop turns."""
        return json_answer(200, {"status": "ok"}, headers=_NO_STORE)

    def standing(self) -> Readiness:
        """Ready when an event could be accepted now; else it says what is missing."""
        spool = self._detour.state if self._detour is not None else None
        state: dict[str, object] = {
            "broker": "connected" if self._bus.connected else "away",
            "nats": self._bus.connected,
            "spooling": spool is not None and spool.spooling,
            "tenants": len(self._plans.snapshot.tenants),
            "draining": self._draining,
        }
        if spool is not None:
            state["spool"] = spool
        accepts = self._bus.connected if spool is None else spool.accepts
        ready = accepts and not self._draining
        return Readiness(ready, {"ready": ready, **state})

    def observe(self) -> None:
        """Look at what metrics tell of the spool."""
        if self._detour is not None:
            self._detour.observe()
