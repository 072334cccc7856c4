"""What probes and scrapers ask: alive, ready, metrics. They tell the truth about the broker and the plans."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sinal_runtime.ingest.exchange import Answer, Request, json_answer
from sinal_runtime.ingest.ports import Bus, Detour, Plans

_NO_STORE = ((b"cache-control", b"no-store"),)


class Health:
    """Answers of the process about itself."""

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

    async def ready(self, _: Request) -> Answer:
        """`GET /readyz`: 200 when an event could be accepted now, else 503 saying what is missing."""
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
        return json_answer(200 if ready else 503, {"ready": ready, **state}, headers=_NO_STORE)

    async def metrics(self, _: Request) -> Answer:
        """`GET /metrics` in Prometheus's text format."""
        if self._detour is not None:
            self._detour.observe()
        return Answer(200, generate_latest(), CONTENT_TYPE_LATEST.encode(), _NO_STORE)
