"""Traces across HTTP, NATS and PostgreSQL, for whoever sets `SINAL_OTLP_ENDPOINT`.

What rooms see of them.

A room holds a `Tracer` or None, and None costs one `if`: OpenTelemetry is not even imported then. A
trace is carried as a W3C `traceparent`, in the HTTP request, then in the header of that name on
every message of the bus. Spans hold ids, counts and templates of routes, never a URL, a body, an
error's message or a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Literal, Protocol

HEADER = "traceparent"
Kind = Literal["server", "client", "producer", "consumer", "internal"]
Attribute = str | int | float | bool


class Span(Protocol):
    """What is under way."""

    def set(self, **attributes: Attribute) -> None:
        """Add attributes; `_` in a name stands for a dot."""
        ...


class Tracer(Protocol):
    """Makes spans; `otlp.OtlpTracer` in production."""

    def request(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        """A request that came in, in the sender's trace if it told one."""
        ...

    def inner(self, name: str, *, kind: Kind = "internal") -> AbstractContextManager[None]:
        """A part of what is under way; nothing where nothing is traced."""
        ...

    def batch(
        self,
        name: str,
        each: str,
        traces: Mapping[str, str],
        *,
        kind: Kind,
        attributes: Mapping[str, Attribute],
    ) -> AbstractContextManager[Mapping[str, str]]:
        """Work on several traces at once, by any key: gives the traceparent that goes on in each of
        them.

        One alone is continued. Several get a span of the batch with links to all, and each a span
        `each` of its own.
        """
        ...

    def traceparent(self) -> str | None:
        """Of what is under way, to hand on."""
        ...

    async def close(self) -> None:
        """Send what is left; within a few seconds."""
        ...


class TracingMissing(RuntimeError):
    """Traces are asked for, but OpenTelemetry is not installed: install sinal[tracing]."""


def installed() -> bool:
    """Whether the extra `tracing` is there; imports nothing of it."""
    return all(
        find_spec(name) for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")
    )


def connect(endpoint: str | None, *, service: str, ratio: float) -> Tracer | None:
    """The tracer of a process, or None without an endpoint; raises TracingMissing."""
    if endpoint is None:
        return None
    if not installed():
        raise TracingMissing(TracingMissing.__doc__)
    from sinal_core.telemetry.otlp import OtlpTracer

    return OtlpTracer.over_http(endpoint, service=service, ratio=ratio)


def part(
    tracer: Tracer | None, name: str, *, kind: Kind = "internal"
) -> AbstractContextManager[None]:
    """A part of what is under way, or nothing."""
    return nullcontext() if tracer is None else tracer.inner(name, kind=kind)
