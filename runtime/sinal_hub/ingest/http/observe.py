"""What a request leaves behind: a counter, a duration, a log line.

None of them holds a path, a token or a person.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable

import structlog

from sinal_core.http.exchange import Request
from sinal_core.telemetry import metrics
from sinal_core.telemetry.bounded import Counter
from sinal_core.telemetry.places import where
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.refusal import Refusal
from sinal_hub.model.events import Event

UNAUTHORIZED = 401
LOGGER = "sinal_hub.ingest.observe"  # the word that shipped lines are filtered by
TELL_AGAIN_S = 3_600.0
MOST_TOLD = 10_000


class Observer:
    """Counts and logs requests."""

    def __init__(self, tally: IntegrationCounters | None = None) -> None:
        self._tally = tally
        # bound once: a lazy logger is assembled again at every call
        self._log = structlog.get_logger(LOGGER).bind()
        self._told: dict[tuple[str, str, str], float] = {}
        self._counters: dict[tuple[str, str, int], Counter] = {}

    def understood(
        self, tenant: str, events: Iterable[Event], *, unknown: int, warnings: int
    ) -> None:
        """Of tracking events: fields that nothing reads, fields that could not be used, those of
        programs.
        """
        if unknown:
            metrics.INGEST_UNKNOWN_FIELDS.labels(tenant).inc(unknown)
        if warnings:
            metrics.INGEST_WARNINGS.labels(tenant).inc(warnings)
        for event in events:
            if event.crawler:
                metrics.INGEST_CRAWLERS.labels(tenant).inc()

    def done(self, request: Request, *, template: str, status: int, seconds: float) -> None:
        """One request was answered.

        Its log line is debug: metrics count requests, faults have lines of their own.
        """
        self._counter(request.tenant, request.source, status).inc()
        if (
            200 <= status < 300 and request.source != "none" and not template.endswith("/s.js")
        ):  # probes store nothing either
            metrics.INGEST_SECONDS.observe(seconds)
        if (
            status == UNAUTHORIZED
            and request.source == "webhook"
            and request.integration
            and self._tally is not None
        ):
            self._tally.rejected(request.tenant, request.integration)
        if request.earlier is not None and status < 300:
            self._earlier(request.tenant, *request.earlier)
        if isinstance(request.refusal, Refusal) and self._tally is not None:
            self._tally.refused(request.refusal)
        if not self._log.is_enabled_for(logging.DEBUG):
            return
        self._log.debug(
            "ingest.request",
            method=request.method,
            route=template,
            status=status,
            ms=round(seconds * 1000, 1),
            tenant=request.tenant or None,
            integration=request.integration or None,
        )

    def _earlier(self, tenant: str, what: str, name: str) -> None:
        """A key of before was taken: counted each time, told once an hour and object."""
        metrics.INGEST_EARLIER_KEYS.labels(tenant, what).inc()
        key, now = (tenant, what, name), time.monotonic()
        if now - self._told.get(key, -math.inf) < TELL_AGAIN_S:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[key] = now
        self._log.warning("ingest.earlier_key", tenant=tenant, what=what, object=name)

    def _counter(self, tenant: str, source: str, status: int) -> Counter:
        key = (tenant, source, status)
        if (counter := self._counters.get(key)) is None:
            counter = self._counters[key] = metrics.INGEST_REQUESTS.labels(
                tenant, source, str(status)
            )
        return counter

    def failed(self, request: Request, template: str, error: BaseException) -> None:
        """A fault of ours: where it happened, not with which values."""
        self._log.error(
            "ingest.fault",
            route=template,
            tenant=request.tenant or None,
            error=type(error).__name__,
            at=where(error),
        )
