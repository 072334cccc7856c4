"""Attack: each request of a stranger says that it is traced.

Before, `trace_ratio` had no say, and all were kept.
"""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sinal_core.telemetry.otlp import OtlpTracer

# an id that every ratio by ids lets through
SAMPLED = "00-00000000000000000000000000000001-b7ad6b7169203331-01"


async def kept(ratio: float, traceparent: str, requests: int = 400) -> int:
    spans = InMemorySpanExporter()
    tracer = OtlpTracer(SimpleSpanProcessor(spans), service="edge", ratio=ratio)
    for _ in range(requests):
        with tracer.request("ingest.request", traceparent):
            assert (tracer.traceparent() or "").startswith(traceparent[:35]), (
                "the trace goes on under its id"
            )
    await tracer.close()
    return len(spans.get_finished_spans())


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.0, 0, 0), (0.1, 10, 80), (1.0, 400, 400)])
async def test_a_sender_does_not_choose_how_many_are_kept(
    ratio: float, low: int, high: int
) -> None:
    assert low <= await kept(ratio, SAMPLED) <= high


async def test_a_sender_that_asks_for_none_gets_none() -> None:
    assert await kept(1.0, SAMPLED[:-1] + "0", 5) == 0
