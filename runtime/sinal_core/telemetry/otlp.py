"""The tracer over OpenTelemetry: batches spans in a thread of its own and sends them as OTLP over
HTTP.

Exceptions are not recorded: their messages may quote data. A span that ends by one is marked with
its type alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from random import random
from types import MappingProxyType

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sinal_core.telemetry.tracing import HEADER, Attribute, Kind

EXPORT_TIMEOUT_S = 3
CLOSE_S = 5.0
MAX_LINKS = 1_000  # events of the largest batch

_KINDS: Mapping[str, SpanKind] = {kind.name.lower(): kind for kind in SpanKind}
_propagator = TraceContextTextMapPropagator()


class OtlpSpan:
    """A span under way."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, **attributes: Attribute) -> None:
        """Add attributes; `_` in a name stands for a dot."""
        self._span.set_attributes(_dotted(attributes))


class OtlpTracer:
    """One a role."""

    def __init__(self, processor: SpanProcessor, *, service: str, ratio: float = 1.0) -> None:
        self._ratio = ratio
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio),
            resource=Resource.create(
                {"service.name": service, "service.version": version("sinal")}
            ),
            span_limits=SpanLimits(max_links=MAX_LINKS),
            # its own hook would wait at the end for a collector that is away; `close` has a bound
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("sinal", version("sinal"))

    @classmethod
    def over_http(cls, endpoint: str, *, service: str, ratio: float) -> OtlpTracer:
        """Sends to `<endpoint>/v1/traces`."""
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S
        )
        return cls(BatchSpanProcessor(exporter), service=service, ratio=ratio)

    @contextmanager
    def request(self, name: str, traceparent: str | None) -> Iterator[OtlpSpan]:
        """A request that came in, in the sender's trace if it told one."""
        with self._span(name, self._admitted(_context(traceparent)), kind="server") as span:
            yield OtlpSpan(span)

    def _admitted(self, told: Context) -> Context:
        """A sender's context.

        Of those that ask for a trace the ratio has its share, whatever ids they choose.
        """
        sender = _of(told)
        if not sender.trace_flags.sampled or random() < self._ratio:  # noqa: S311 - a share, not a secret
            return told
        quiet = trace.SpanContext(
            sender.trace_id, sender.span_id, is_remote=True, trace_state=sender.trace_state
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(quiet), Context())

    @contextmanager
    def inner(self, name: str, *, kind: Kind = "internal") -> Iterator[None]:
        """A part of what is under way; nothing where nothing is traced."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._span(name, None, kind=kind):
            yield

    @contextmanager
    def batch(
        self,
        name: str,
        each: str,
        traces: Mapping[str, str],
        *,
        kind: Kind,
        attributes: Mapping[str, Attribute],
    ) -> Iterator[Mapping[str, str]]:
        """Work on several traces at once; see `tracing.Tracer`."""
        contexts = {key: _context(told) for key, told in traces.items()}
        sampled = {key: found for key, found in contexts.items() if _of(found).trace_flags.sampled}
        if not sampled:
            yield traces
            return
        if len(sampled) == 1:
            ((key, alone),) = sampled.items()
            with self._span(name, alone, kind=kind, attributes=attributes) as span:
                yield {**traces, key: _traceparent(span)}
            return
        with ExitStack() as stack:
            links = [trace.Link(_of(found)) for found in sampled.values()]
            opened = self._span(name, Context(), kind=kind, links=links, attributes=attributes)
            whole = stack.enter_context(opened)
            back = [trace.Link(whole.get_span_context())]
            own = {
                key: self._tracer.start_span(each, found, links=back)
                for key, found in sampled.items()
            }
            for span in own.values():
                stack.callback(span.end)
            yield {**traces, **{key: _traceparent(span) for key, span in own.items()}}

    def traceparent(self) -> str | None:
        """Of what is under way, to hand on."""
        span = trace.get_current_span()
        return _traceparent(span) if span.get_span_context().is_valid else None

    async def close(self) -> None:
        """Send what is left; a collector that is away costs CLOSE_S at most."""
        await asyncio.wait(
            {asyncio.ensure_future(asyncio.to_thread(self._provider.shutdown))}, timeout=CLOSE_S
        )

    @contextmanager
    def _span(
        self,
        name: str,
        context: Context | None,
        *,
        kind: Kind,
        links: Sequence[trace.Link] = (),
        attributes: Mapping[str, Attribute] = MappingProxyType({}),
    ) -> Iterator[trace.Span]:
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=_dotted(attributes),
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise


def _context(traceparent: str | None) -> Context:
    """The context that a header tells of.

    An empty one for none, or for one that is not a traceparent.
    """
    return _propagator.extract({HEADER: traceparent} if traceparent else {}, context=Context())


def _of(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


def _traceparent(span: trace.Span) -> str:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return carrier[HEADER]


def _dotted(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {name.replace("_", "."): value for name, value in attributes.items()}
