"""What metrics tell of a destination: why it is stopped, what Meta said, when it last took an
event.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from sinal_core.aio.breaker import BreakerState
from sinal_core.outbox.answers import Answer, Verdict
from sinal_core.outbox.health import POLICY, DestinationHealth
from sinal_core.telemetry import metrics
from sinal_crds.plan import DestinationPlan
from sinal_hub.dispatch.destination_metrics import NO_TOKEN, DestinationMetrics
from sinal_hub.dispatch.meta_destination import terms

NAMES = ("signed", "pixel")


def series(metric: Any) -> dict[tuple[str, ...], float]:
    samples = [sample for family in metric.collect() for sample in family.samples]
    found = [
        s for s in samples if s.labels["tenant"] == NAMES[0] and not s.name.endswith("_created")
    ]
    return {
        tuple(value for name, value in s.labels.items() if name not in ("tenant",)): s.value
        for s in found
    }


@pytest.fixture
def sign() -> Iterator[DestinationMetrics]:
    made = DestinationMetrics(*NAMES)
    yield made
    made.take_down()


def test_a_dead_token_is_told_as_the_reason(sign: DestinationMetrics) -> None:
    plan = DestinationPlan(name="pixel", pixel_id="1")
    health = DestinationHealth(NAMES, terms(plan), policy=POLICY, rng=random.Random(1), gauge=sign)
    health.learn(Answer(verdict=Verdict(kind="credential")), 0.0)
    assert series(metrics.BREAKER_REASON) == {("pixel", "credential"): 1}


def test_a_closed_breaker_has_no_reason(sign: DestinationMetrics) -> None:
    sign.show(BreakerState.OPEN, NO_TOKEN)
    sign.show(BreakerState.HALF_OPEN, "retry")
    assert series(metrics.BREAKER_REASON) == {("pixel", "retry"): 1}
    sign.show(BreakerState.CLOSED, "retry")
    assert series(metrics.BREAKER_REASON) == {}


def test_answers_are_counted_by_what_they_meant(sign: DestinationMetrics) -> None:
    sign.answered("retry", 100.0, 0.1)
    assert series(metrics.CAPI_LAST_SUCCESS) == {}
    sign.answered("delivered", 200.0, 0.1)
    assert series(metrics.CAPI_REQUESTS) == {("pixel", "retry"): 1, ("pixel", "delivered"): 1}
    assert series(metrics.CAPI_LAST_SUCCESS) == {("pixel",): 200.0}


def test_a_destination_that_is_gone_leaves_no_gauge() -> None:
    sign = DestinationMetrics(*NAMES)
    sign.show(BreakerState.OPEN, NO_TOKEN)
    sign.answered("delivered", 1.0, 0.1)
    sign.take_down()
    assert not series(metrics.BREAKER_STATE) and not series(metrics.BREAKER_REASON)
    assert not series(metrics.CAPI_LAST_SUCCESS)
