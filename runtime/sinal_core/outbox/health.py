"""The health of one destination as this process sees it: breaker and pacing together, fed by every
answer.

A destination that cannot be sent to holds no worker: the question is always "how long to wait",
never "wait here".
"""

from __future__ import annotations

import random

import structlog

from sinal_core.aio.breaker import Breaker, BreakerState, Opening, Policy
from sinal_core.outbox.answers import Answer
from sinal_core.outbox.pacing import Pacer
from sinal_core.outbox.ports import Gauge, Key, News
from sinal_core.outbox.terms import Terms

log = structlog.get_logger(__name__)

POLICY = Policy(
    threshold=5,
    base_s=5.0,
    cap_s=300.0,
    pause_base_s=15.0,  # after a credential or configuration error
    probe_timeout_s=60.0,
)


class DestinationHealth:
    """Breaker and pacer of one destination; times are monotonic seconds."""

    def __init__(
        self,
        key: Key,
        terms: Terms,
        *,
        policy: Policy,
        rng: random.Random,
        gauge: Gauge,
    ) -> None:
        self._tenant, self._name = key
        self._gauge = gauge
        self._breaker = Breaker(policy, rng)
        self._warned: str | None = None
        self._news: News | None = None
        self._adopt(terms)

    def follow(self, terms: Terms, now: float) -> None:
        """Take changed terms over: another identity deserves a try at once."""
        if terms == self._terms:
            return
        if terms.identity != self._terms.identity:
            if self._breaker.state(now) is not BreakerState.CLOSED:
                log.info(
                    "destination.breaker",
                    tenant=self._tenant,
                    destination=self._name,
                    state="closed",
                    why="changed",
                )
            self._breaker.reset()
        # a new pacer begins with a full bucket: at each change of terms a burst would leave
        rate = self._terms.requests_per_second
        self._adopt(terms, keep_pacer=terms.requests_per_second == rate)
        self._show(now)

    def wait_s(self, now: float) -> float:
        """0 when a request may leave now, else how long to wait before asking again."""
        return max(self._breaker.wait_s(now), self._pacer.wait_s(now))

    def probing(self, now: float) -> bool:
        """Whether the next request is a probe and should risk little."""
        return self._breaker.state(now) is not BreakerState.CLOSED

    def begin(self, now: float) -> bool:
        """Take the right to send one request."""
        if self.wait_s(now) > 0 or not self._breaker.begin(now):
            return False
        self._pacer.spend(now)
        self._show(now)
        return True

    @property
    def opening(self) -> Opening | None:
        """Why and until when nothing is sent; None while the breaker is closed."""
        return self._breaker.opening()

    def try_now(self, now: float) -> None:
        """Another process was answered well: an open breaker is tried at once."""
        self._breaker.try_now(now)
        self._show(now)

    def news(self) -> News | None:
        """What the last answer since this was asked says to others.

        None where there was none, or it says nothing.
        """
        news, self._news = self._news, None
        return news

    def release(self) -> None:
        """What was begun did not need a request."""
        self._breaker.release()

    def learn(self, answer: Answer, now: float, *, asked: Terms | None = None) -> None:
        """Take one answer into account.

        What was `asked` under an older identity says nothing of today's.
        """
        if asked is not None and asked.identity != self._terms.identity:
            return
        verdict = answer.verdict
        before = self._breaker.state(now)
        self._pacer.observed(now, answer.usage)
        match verdict.kind:
            case "delivered" | "data" | "request":  # it judged our entries: it is well
                self._breaker.succeeded()
                self._news = "well"
            # a quota says nothing of its health: a probe that meets one is given back, neither won
            # nor lost
            case "throttle":
                self._pacer.stop(now, verdict.retry_after_s)
                self._breaker.release()
            case "credential" | "configuration":
                self._breaker.pause(now, verdict.kind)
            case _:
                if verdict.retry_after_s is not None:
                    self._pacer.stop(now, verdict.retry_after_s)
                self._breaker.failed(now, verdict.kind)
        self._show(now)
        after = self._breaker.state(now)
        if before is not after:
            self._tell(answer, now)
        if after is BreakerState.OPEN:
            self._news = "stopped"
        self._warn(answer)

    def _adopt(self, terms: Terms, *, keep_pacer: bool = False) -> None:
        self._terms = terms
        if not keep_pacer:
            self._pacer = Pacer(terms.requests_per_second)

    def _show(self, now: float) -> None:
        self._gauge.show(self._breaker.state(now), self._breaker.reason)

    def _tell(self, answer: Answer, now: float) -> None:
        state, verdict = self._breaker.state(now), answer.verdict
        level = log.warning if state is BreakerState.OPEN else log.info
        level(
            "destination.breaker",
            tenant=self._tenant,
            destination=self._name,
            state=state.name.lower(),
            why=verdict.kind,
            code=verdict.code,
            subcode=verdict.subcode,
            wait_s=round(self._breaker.wait_s(now), 1),
        )

    def _warn(self, answer: Answer) -> None:
        warning = answer.usage.version_warning
        if warning and warning != self._warned:
            log.warning(
                "destination.api_version",
                tenant=self._tenant,
                destination=self._name,
                warning=warning[:200],
            )
        self._warned = warning or self._warned
