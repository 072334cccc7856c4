"""What the API says of queues: sums over tenants, explicit zeros, and errors for what there is
not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats import BusUnavailable, Depth, Survey
from sinal_hub.status.depths import DepthSource, QueueDepths, by_role
from sinal_metrics_adapter.errors import Failure
from sinal_metrics_adapter.selectors import Requirement, parse
from sinal_metrics_adapter.values import understood

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEPTH = "sinal_queue_depth"
AGE = "sinal_queue_oldest_seconds"


def reading(*depths: Depth, tenants: tuple[str, ...] = ("loja", "outra", "quieta")) -> QueueDepths:
    return QueueDepths(NOW.timestamp(), frozenset(tenants), by_role(depths))


BUSY = reading(
    Depth("loja", "match", 3, 2, NOW - timedelta(seconds=4.5)),
    Depth("loja", "dispatch-a", 4, 0, NOW - timedelta(seconds=2)),
    Depth("loja", "dispatch-b", 0, 0),
    Depth("outra", "match", 10, 0, NOW - timedelta(seconds=90), stranded=5),
)


def items(metric: str, selector: str, of: QueueDepths = BUSY) -> list[tuple[dict[str, str], str]]:
    found = understood(metric, selector).answer(of)
    return [(item["metricLabels"], item["value"]) for item in found["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("role=match", [({"role": "match"}, "20")]),
        ("role==dispatch", [({"role": "dispatch"}, "4")]),
        ("", [({"role": "match"}, "20"), ({"role": "dispatch"}, "4")]),
        ("role!=match", [({"role": "dispatch"}, "4")]),
        ("role in (match, dispatch)", [({"role": "match"}, "20"), ({"role": "dispatch"}, "4")]),
        ("role=match,tenant=loja", [({"role": "match", "tenant": "loja"}, "5")]),
        ("role=match,tenant=quieta", [({"role": "match", "tenant": "quieta"}, "0")]),
        ("role=match,!tenant", [({"role": "match"}, "20")]),
        (
            "role=match,tenant notin (loja)",
            [
                ({"role": "match", "tenant": "outra"}, "15"),
                ({"role": "match", "tenant": "quieta"}, "0"),
            ],
        ),
    ],
)
def test_a_selector_chooses_series(
    selector: str, expected: list[tuple[dict[str, str], str]]
) -> None:
    assert items(DEPTH, selector) == expected


def test_ages_are_quantities() -> None:
    assert items(AGE, "role=match") == [({"role": "match"}, "90")]
    assert items(AGE, "role=match,tenant=loja") == [({"role": "match", "tenant": "loja"}, "4500m")]
    assert items(AGE, "role=match", reading()) == [({"role": "match"}, "0")]


def test_at_rest_there_is_a_zero_and_not_nothing() -> None:
    assert items(DEPTH, "role=match", reading(tenants=())) == [({"role": "match"}, "0")]


def test_the_document_is_a_list_of_values() -> None:
    assert understood(DEPTH, "role=dispatch").answer(BUSY) == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": DEPTH,
                "metricLabels": {"role": "dispatch"},
                "timestamp": "2026-03-01T12:00:00Z",
                "value": "4",
            }
        ],
    }


@pytest.mark.parametrize(
    ("metric", "selector", "status", "word"),
    [
        ("sinal_queue_width", "role=match", 404, DEPTH),
        (DEPTH, "role=mach", 404, "match and dispatch"),
        (DEPTH, "role=match,tenant=nobody", 404, "tenant"),
        (DEPTH, "zone=a", 400, "zone"),
        (DEPTH, "role=match,", 400, "comma"),
        (DEPTH, "role match", 400, "can't be read"),
        (DEPTH, "=match", 400, "can't be read"),
        (DEPTH, "role in match", 400, "can't be read"),
    ],
)
def test_what_there_is_not_is_an_error(metric: str, selector: str, status: int, word: str) -> None:
    with pytest.raises(Failure) as caught:
        understood(metric, selector).answer(BUSY)
    assert caught.value.status == status
    assert word in str(caught.value)
    assert caught.value.document()["code"] == status


_names = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)


@given(st.lists(st.tuples(_names, _names), min_size=1, max_size=4), st.booleans())
def test_every_equality_that_can_be_written_is_read(
    pairs: list[tuple[str, str]], spaced: bool
) -> None:
    text = ("  ,  " if spaced else ",").join(f"{key}={value}" for key, value in pairs)
    assert parse(text) == [Requirement(key, "in", frozenset({value})) for key, value in pairs]


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parse(text)
    except Failure as failure:
        assert failure.status == 400


class Broker:
    """A broker that is asked for depths, and a clock."""

    def __init__(self) -> None:
        self.looks, self.away, self.at = 0, False, 0.0

    def time(self) -> float:
        return NOW.timestamp() + self.at

    def monotonic(self) -> float:
        return self.at

    async def survey(self, *, ages: bool = False) -> Survey:
        assert ages
        self.looks += 1
        if self.away:
            raise BusUnavailable("away")
        return Survey({"loja": NOW}, [Depth("loja", "match", self.looks, 0)])


async def test_who_asks_within_a_second_shares_a_look() -> None:
    broker = Broker()
    source = DepthSource(broker, clock=broker)
    assert [(await source.reading()).of_role("match").messages for _ in range(3)] == [1, 1, 1]
    broker.at += 1.5
    assert (await source.reading()).of_role("match").messages == 2


async def test_an_old_figure_is_never_told() -> None:
    broker = Broker()
    source = DepthSource(broker, clock=broker)
    await source.reading()
    broker.at, broker.away = 1.5, True
    for _ in range(2):
        with pytest.raises(BusUnavailable):
            await source.reading()
    broker.away = False
    # a failed look is not remembered
    assert (await source.reading()).of_role("match").messages == 4
