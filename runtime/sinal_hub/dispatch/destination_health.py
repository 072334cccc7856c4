"""The health of one destination as this process sees it: breaker and pacing together, fed by every
answer.

A destination that cannot be sent to holds no worker: the question is always "how long to wait",
never "wait here".
"""

from __future__ import annotations

import random
from typing import Literal

import structlog

from sinal_core.aio.breaker import Breaker, Opening, Policy, State
from sinal_crds.plan import DestinationPlan
from sinal_hub.dispatch.destination_metrics import DestinationMetrics
from sinal_hub.dispatch.pacing import Pacer
from sinal_hub.meta.answer import GraphAnswer

log = structlog.get_logger(__name__)

POLICY = Policy(
    threshold=5,
    base_s=5.0,
    cap_s=300.0,
    pause_base_s=15.0,  # after a credential or configuration error
    probe_timeout_s=60.0,
)

News = Literal["well", "stopped"]


class Circuit:
    """Breaker and pacer of one destination; times are monotonic seconds."""

    def __init__(
        self,
        tenant: str,
        plan: DestinationPlan,
        *,
        policy: Policy,
        rng: random.Random,
        sign: DestinationMetrics | None = None,
    ) -> None:
        self._tenant = tenant
        self.sign = sign or DestinationMetrics(tenant, plan.name)
        self._breaker = Breaker(policy, rng)
        self._warned: str | None = None
        self._news: News | None = None
        self._adopt(plan)

    def follow(self, plan: DestinationPlan, now: float) -> None:
        """Take a changed plan over: a new token, pixel or version deserves a try at once."""
        if plan is self._plan:
            return
        if _identity(plan) != _identity(self._plan):
            if self._breaker.state(now) is not State.CLOSED:
                log.info(
                    "destination.breaker",
                    tenant=self._tenant,
                    destination=plan.name,
                    state="closed",
                    why="changed",
                )
            self._breaker.reset()
        rate_changed = plan.rate_limit != self._plan.rate_limit
        self._adopt(plan, keep_pacer=not rate_changed)
        self._show(now)

    def wait_s(self, now: float) -> float:
        """0 when a request may leave now, else how long to wait before asking again."""
        return max(self._breaker.wait_s(now), self._pacer.wait_s(now))

    def probing(self, now: float) -> bool:
        """Whether the next request is a probe and should risk little."""
        return self._breaker.state(now) is not State.CLOSED

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

    def learn(
        self, answer: GraphAnswer, now: float, *, asked: DestinationPlan | None = None
    ) -> None:
        """Take one answer into account.

        What an older token or pixel was `asked` with says nothing of today's.
        """
        if asked is not None and _identity(asked) != _identity(self._plan):
            return
        verdict = answer.verdict
        before = self._breaker.state(now)
        self._pacer.observed(now, answer.usage)
        match verdict.kind:
            case "delivered" | "data" | "request":  # it judged our events: it is well
                self._breaker.succeeded()
                self._news = "well"
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
        if after is State.OPEN:
            self._news = "stopped"
        self._warn(answer)

    def _adopt(self, plan: DestinationPlan, *, keep_pacer: bool = False) -> None:
        self._plan = plan
        if not keep_pacer:
            self._pacer = Pacer(plan.rate_limit.requests_per_second)

    def _show(self, now: float) -> None:
        self.sign.show(self._breaker.state(now), self._breaker.reason)

    def _tell(self, answer: GraphAnswer, now: float) -> None:
        state, verdict = self._breaker.state(now), answer.verdict
        level = log.warning if state is State.OPEN else log.info
        level(
            "destination.breaker",
            tenant=self._tenant,
            destination=self._plan.name,
            state=state.name.lower(),
            why=verdict.kind,
            code=verdict.code,
            subcode=verdict.subcode,
            wait_s=round(self._breaker.wait_s(now), 1),
        )

    def _warn(self, answer: GraphAnswer) -> None:
        warning = answer.usage.version_warning
        if warning and warning != self._warned:
            log.warning(
                "destination.api_version",
                tenant=self._tenant,
                destination=self._plan.name,
                warning=warning[:200],
            )
        self._warned = warning or self._warned


def _identity(plan: DestinationPlan) -> tuple[str, str, str]:
    return plan.pixel_id, plan.api_version, plan.access_token
