"""Which objects are not ready, since when and why: what the operator's metrics show of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sinal_operator import metrics
from sinal_operator.cluster.conditions import READY, ConditionVerdict
from sinal_operator.cluster.object_cache import Seen, see
from sinal_operator.cluster.readiness_metrics import ReadinessMetrics
from sinal_operator.cluster.status import Judgement

NOW = 1_800_000_000.0


def tenant(name: str = "loja", *conditions: dict[str, Any]) -> Seen:
    metadata = {
        "name": name,
        "namespace": "shops",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "generation": 1,
    }
    status = {"conditions": list(conditions)}
    return see({"kind": "Tenant", "metadata": metadata, "spec": {}, "status": status})


def ready(status: str, reason: str, since: str = "2026-11-24T10:00:00Z") -> dict[str, Any]:
    return {
        "type": READY,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": since,
    }


def judged(state: Any, reason: str) -> Judgement:
    return Judgement((ConditionVerdict(READY, state, reason, ""),))


def shown() -> dict[tuple[str, str], float]:
    samples = [sample for family in metrics.NOT_READY_SINCE.collect() for sample in family.samples]
    return {(sample.labels["name"], sample.labels["reason"]): sample.value for sample in samples}


@pytest.fixture
def standing() -> Iterator[ReadinessMetrics]:
    times = iter(range(1000))
    made = ReadinessMetrics(clock=lambda: NOW + next(times))
    yield made
    made.show([])


def test_a_ready_object_has_no_series(standing: ReadinessMetrics) -> None:
    standing.show([(tenant("loja", ready("False", "SlugTaken")), judged("True", "Ready"))])
    assert shown() == {}


def test_it_is_broken_since_its_status_says_so(standing: ReadinessMetrics) -> None:
    standing.show([(tenant("loja", ready("False", "SlugTaken")), None)])
    assert shown() == {("loja", "SlugTaken"): 1_795_514_400.0}


def test_one_that_just_broke_is_broken_since_now(standing: ReadinessMetrics) -> None:
    standing.show([(tenant("loja", ready("True", "Ready")), judged("False", "StreamForeign"))])
    assert shown() == {("loja", "StreamForeign"): NOW}


def test_another_reason_does_not_make_it_young_again(standing: ReadinessMetrics) -> None:
    seen = tenant("loja", ready("True", "Ready"))
    standing.show([(seen, judged("Unknown", "BrokerUnavailable"))])
    standing.show([(seen, judged("False", "ProvisioningFailed"))])
    assert shown() == {("loja", "ProvisioningFailed"): NOW}


def test_one_that_nobody_judges_grows_old(standing: ReadinessMetrics) -> None:
    unseen = tenant("loja", ready("Unknown", "Pending", "1970-01-01T00:00:00Z"))
    for _ in range(3):
        standing.show([(unseen, None)])
    assert shown() == {("loja", "Pending"): NOW}


def test_series_are_bounded_and_the_oldest_stay(standing: ReadinessMetrics) -> None:
    many = [
        (tenant(f"t{n}"), judged("False", "SlugTaken")) for n in range(metrics.MOST_NOT_READY + 20)
    ]
    standing.show(many)
    assert len(shown()) == metrics.MOST_NOT_READY
    assert ("t0", "SlugTaken") in shown()


def test_series_go_with_their_objects(standing: ReadinessMetrics) -> None:
    standing.show([(tenant("loja"), judged("False", "SlugTaken"))])
    standing.show([])
    assert shown() == {}
