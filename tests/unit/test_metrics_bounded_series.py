"""Series stay bounded whatever the number of tenants, and no counter ever goes backwards for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from sinal_core.telemetry import bounded, metrics
from sinal_core.telemetry.bounded import OTHER, Counter, Gauge, Histogram, Names

SLUGS = st.lists(st.sampled_from([f"t{n}" for n in range(9)]), max_size=60)


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """Two tenants may have series of their own."""
    before = bounded.TENANTS, bounded.DESTINATIONS
    bounded.TENANTS, bounded.DESTINATIONS = Names(2), Names(2)
    yield CollectorRegistry()
    bounded.TENANTS, bounded.DESTINATIONS = before


@given(slugs=SLUGS, limit=st.integers(0, 10))
def test_the_first_tenants_keep_their_label_for_ever(slugs: list[str], limit: int) -> None:
    names = Names(limit)
    labels = [names.label(slug) for slug in slugs]
    first = set(list(dict.fromkeys(slugs))[:limit])
    assert labels == [slug if slug in first else OTHER for slug in slugs]


@given(slugs=SLUGS)
def test_no_series_goes_backwards_and_nothing_is_lost(slugs: list[str]) -> None:
    bounded.TENANTS, kept = Names(3), bounded.TENANTS
    try:
        registry = CollectorRegistry()
        counter = Counter("seen", "Seen.", ("tenant",), registry=registry)
        before: dict[str, float] = {}
        for count, slug in enumerate(slugs, 1):
            counter.labels(slug).inc()
            now = {
                sample.labels["tenant"]: sample.value
                for family in registry.collect()
                for sample in family.samples
                if sample.name == "seen_total"
            }
            assert all(now[label] >= value for label, value in before.items())
            assert sum(now.values()) == count
            assert len(now) <= 4
            before = now
    finally:
        bounded.TENANTS = kept


def test_a_request_of_nobody_takes_no_place(registry: CollectorRegistry) -> None:
    counter = Counter("seen", "Seen.", ("tenant",), registry=registry)
    for slug in ("", "a", "b", "c"):
        counter.labels(slug).inc()
    shown = {
        slug: registry.get_sample_value("seen_total", {"tenant": slug})
        for slug in ("", "a", "b", "c", OTHER)
    }
    assert shown == {"": 1, "a": 1, "b": 1, "c": None, OTHER: 1}


def test_destinations_of_the_rest_are_bounded_too(registry: CollectorRegistry) -> None:
    counter = Counter("sent", "Sent.", ("tenant", "destination"), registry=registry)
    for slug in ("a", "b", "c", "d"):
        counter.labels(slug, f"pixel-{slug}").inc()
    assert registry.get_sample_value("sent_total", {"tenant": "a", "destination": "pixel-a"}) == 1
    assert registry.get_sample_value("sent_total", {"tenant": OTHER, "destination": OTHER}) == 2
    seconds = Histogram("took", "Took.", ("destination",), registry=registry)
    for name in ("one", "two", "three", "four"):
        seconds.labels(destination=name).observe(1)
    assert registry.get_sample_value("took_count", {"destination": OTHER}) == 2


def test_gauges_of_the_rest_are_merged_and_not_overwritten(registry: CollectorRegistry) -> None:
    depth = Gauge("depth", "Depth.", ("tenant",), merge=sum, registry=registry)
    state = Gauge("state", "State.", ("tenant", "destination"), registry=registry)
    for number, slug in enumerate(("a", "b", "c", "d")):
        depth.labels(slug).set(10)
        state.labels(slug, "pixel").set(2 if slug == "c" else number % 2)
    assert registry.get_sample_value("depth", {"tenant": "a"}) == 10
    assert registry.get_sample_value("depth", {"tenant": OTHER}) == 20
    assert registry.get_sample_value("state", {"tenant": OTHER, "destination": OTHER}) == 2
    state.remove("c", "pixel")
    assert registry.get_sample_value("state", {"tenant": OTHER, "destination": OTHER}) == 1


def test_every_metric_with_a_tenant_or_a_destination_is_bounded() -> None:
    declared = [
        metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
    ]
    assert len(declared) > 15
    open_ended = {
        metric._name
        for metric in declared
        if {"tenant", "destination"} & set(metric._labelnames)
        and not isinstance(metric, Counter | Gauge | Histogram)
    }
    assert open_ended == set()


def test_no_family_has_a_series_of_when_it_was_born(registry: CollectorRegistry) -> None:
    Counter("sent", "Sent.", ("tenant",), registry=registry).labels("a").inc()
    Histogram("took", "Took.", ("destination",), registry=registry).labels("b").observe(1)
    text = generate_latest(registry).decode()
    assert "sent_total" in text and "took_count" in text and "_created" not in text
