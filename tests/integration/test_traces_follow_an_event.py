"""One event's way is one trace: HTTP request, broker, PostgreSQL, matching, the request to Meta;
and off means off.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.load import hotmart_sales, post_until_accepted
from tests.support.platform import Platform, running

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"
OURS = "0af7651916cd43dd8448eb211c80319c"  # the trace of a shop's server
REPLAYS = "4bf92f3577b34da6a3ce929d0e0e4736"  # the trace of who replays through the API
SALES = 5


class Collector:
    """What a collector was sent, by the service that sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`."""
        body = await request.read()
        message = ExportTraceServiceRequest.FromString(
            _inflated(body, request.headers.get("content-encoding"))
        )
        for resource in message.resource_spans:
            service = next(
                a.value.string_value
                for a in resource.resource.attributes
                if a.key == "service.name"
            )
            self.spans += [
                (service, span) for scope in resource.scope_spans for span in scope.spans
            ]
        return web.Response(content_type="application/x-protobuf")

    def traces(self) -> dict[str, set[tuple[str, str]]]:
        """Trace id -> service and name of its spans."""
        found: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for service, span in self.spans:
            found[span.trace_id.hex()].add((service, span.name))
        return found

    def named(self, name: str) -> list[Span]:
        return [span for _, span in self.spans if span.name == name]


def _inflated(body: bytes, encoding: str | None) -> bytes:
    return gzip.decompress(body) if encoding == "gzip" and body[:2] == b"\x1f\x8b" else body


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    found = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_one_trace_from_the_request_to_meta(collector: Collector, tmp_path: Path) -> None:
    settings = {"SINAL_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    async with (
        running(tmp_path / "disk", [SHOP], settings=settings) as platform,
        aiohttp.ClientSession() as session,
    ):
        await _lead(session, platform, traceparent=f"00-{OURS}-b7ad6b7169203331-01")
        await _settled(platform, session, 1)
        platform.kill_role("match")  # what comes now is matched and sent as one batch
        await post_until_accepted(
            session, platform.webhook("loja", "hotmart"), hotmart_sales("T", SALES)
        )
        platform.start_role("match")
        await _settled(platform, session, 1 + SALES)
        await _replayed_lead(platform, session, traceparent=f"00-{REPLAYS}-b7ad6b7169203331-01")
    traces = collector.traces()
    _assert_whole_trace_of_the_replay(collector, traces)
    _assert_whole_trace_of_the_lead(collector, traces)
    _assert_sales_are_linked(collector, traces)
    _assert_nothing_private(collector)


def _assert_whole_trace_of_the_replay(
    collector: Collector, traces: dict[str, set[tuple[str, str]]]
) -> None:
    assert traces[REPLAYS] >= {
        ("sinal-api", "api.request"),
        ("sinal-api", "postgres.transaction"),
        ("sinal-api", "nats.publish"),
        ("sinal-dispatch", "dispatch.request"),
    }
    asked = [span for span in collector.named("api.request") if span.trace_id.hex() == REPLAYS]
    told = {attribute.key: attribute.value for span in asked for attribute in span.attributes}
    assert told["http.route"].string_value == "/api/v1/replay/{event_id}"
    assert told["http.response.status.code"].int_value == 200


def _assert_whole_trace_of_the_lead(
    collector: Collector, traces: dict[str, set[tuple[str, str]]]
) -> None:
    assert traces[OURS] >= {
        ("sinal-ingest", "ingest.request"),
        ("sinal-ingest", "nats.publish"),
        ("sinal-match", "match.batch"),
        ("sinal-match", "postgres.transaction"),
        ("sinal-dispatch", "dispatch.request"),
    }
    parents = {span.span_id: span.parent_span_id for _, span in collector.spans}
    for span in collector.named("dispatch.request"):
        if span.trace_id.hex() == OURS:
            above, names = span.parent_span_id, []
            while above in parents:
                names += [other.name for _, other in collector.spans if other.span_id == above]
                above = parents[above]
            assert names == ["match.batch", "nats.publish", "ingest.request"]
            assert above.hex() == "b7ad6b7169203331"


def _assert_sales_are_linked(collector: Collector, traces: dict[str, set[tuple[str, str]]]) -> None:
    """Each sale keeps its own trace to the end.

    The batches belong to none of them and link to all.
    """
    sales = {s.trace_id.hex() for s in collector.named("ingest.request")} - {OURS}
    assert len(sales) == SALES
    for trace in sales:
        names = {name for _, name in traces[trace]}
        assert names >= {"ingest.request", "nats.publish"}
        assert names & {"match.event", "match.batch"}
        assert names & {"dispatch.event", "dispatch.request"}
    linked = {link.trace_id.hex() for span in collector.named("match.batch") for link in span.links}
    batched = {span.trace_id.hex() for span in collector.named("match.event")}
    assert batched and batched == linked
    assert all(
        span.trace_id.hex() not in sales for span in collector.named("match.batch") if span.links
    )


def _assert_nothing_private(collector: Collector) -> None:
    text = "".join(str(span) for _, span in collector.spans).lower()
    assert "buyer" not in text and "ana@" not in text and "demo-hottok" not in text
    routes = {
        a.value.string_value
        for s in collector.named("ingest.request")
        for a in s.attributes
        if "route" in a.key
    }
    assert routes == {"/t/{slug}/api/v1/track/lead", "/t/{slug}/api/v1/webhooks/{gateway}/{token}"}


async def _lead(session: aiohttp.ClientSession, platform: Platform, *, traceparent: str) -> None:
    key = platform.minted["loja"]["funnels"]["curso"]["server_key"]
    body = {
        "funnel": "curso",
        "user": {"email": "ana@example.com"},
        "client": {"ip": "177.1.2.3", "user_agent": "M"},
    }
    headers = {"Authorization": f"Bearer {key}", "traceparent": traceparent}
    async with session.post(
        f"{platform.ingest}/t/loja/api/v1/track/lead", json=body, headers=headers
    ) as answer:
        assert answer.status == 202, await answer.text()


async def _replayed_lead(
    platform: Platform, session: aiohttp.ClientSession, *, traceparent: str
) -> None:
    async with session.get(
        f"{platform.api}/api/v1/events?kind=lead", headers=platform.admin
    ) as answer:
        [lead] = (await answer.json())["events"]
    headers = {**platform.admin, "traceparent": traceparent}
    async with session.post(
        f"{platform.api}/api/v1/replay/{lead['id']}", json={"force": True}, headers=headers
    ) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["replayed"] == 1
    await _settled(platform, session, 1 + SALES)


async def _settled(platform: Platform, session: aiohttp.ClientSession, accepted: int) -> None:
    totals = await platform.settled(session, accepted=accepted)
    assert totals["delivered"] == accepted


async def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; import sinal_cli.roles, sinal_hub.ingest.server, sinal_hub.matching.worker, "
        "sinal_hub.dispatch.worker, sinal_core.nats, sinal_core.postgres.database; "
        "from sinal_core.telemetry.tracing import connect; assert connect(None, service='x', "
        "ratio=1) is None; "
        "print([name for name in ('sinal_core.telemetry.otlp', 'opentelemetry.sdk.trace', "
        "'opentelemetry.exporter') "
        "if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.decode().strip()) == (0, "[]")
