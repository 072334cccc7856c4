"""Sentry's client with everything off that it finds by itself, and a list of what may leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.utils import event_from_exception

from sinal_core.telemetry.faults import Fault
from sinal_core.telemetry.logs import mask

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

QUEUE = 20  # reports that wait for the receiver; more are dropped
FRAMES = 60  # of one exception, the innermost
CHAIN = 5  # exceptions that led to one another
_OF_A_FRAME = ("function", "module", "lineno", "in_app")


class SentrySender:
    """Sends reports from a thread of its own; a full queue drops them.

    The client is of this object alone: what else asks for Sentry finds none. Its default sends
    nothing of people (`send_default_pii`, which is deprecated by name, is false).
    """

    def __init__(self, dsn: str, *, role: str, release: str) -> None:
        self._tags = {"role": role}
        self._client = sentry_sdk.Client(
            dsn=dsn,
            release=release,
            server_name="",
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            transport_queue_size=QUEUE,
            in_app_include=["sinal_"],
            spotlight=False,
            debug=False,
            before_send=_allowed,
        )

    def send(self, fault: Fault) -> None:
        """Hand a report to the thread."""
        event, hint = event_from_exception(fault.error, client_options=self._client.options)
        event["message"] = fault.message
        event["tags"] = self._tags | ({} if fault.tenant is None else {"tenant": fault.tenant})
        event["extra"] = {"repeats": fault.repeats}
        self._client.capture_event(event, hint)

    def close(self, timeout_s: float) -> None:
        """Send what is left."""
        self._client.close(timeout=timeout_s)


def _allowed(event: Event, _: Hint) -> Event:
    """A new report of nothing but what is listed here, masked as a line of the log is."""
    message = mask(str(event.get("message", "")))
    found: Any = event.get("exception") or {}
    # Sentry's protocol lists causes first: the last one is what was raised
    told = [_exception(one) for one in found.get("values", [])[-CHAIN:]]
    if told:
        told[-1]["value"] = message  # what the exception says itself may quote a person
    tags: Any = event.get("tags") or {}
    return {
        "event_id": event["event_id"],
        "timestamp": event["timestamp"],
        "level": "error",
        "platform": "python",
        "release": event.get("release", ""),
        "message": message,
        "tags": {name: mask(str(value)) for name, value in tags.items()},
        "extra": {"repeats": int(event.get("extra", {}).get("repeats", 0))},  # type: ignore[call-overload]
        "exception": {"values": told},
    }


def _exception(one: dict[str, Any]) -> dict[str, Any]:
    """An exception's type and its way through the code, without a word of its own."""
    frames = (one.get("stacktrace") or {}).get("frames") or []
    return {
        "type": mask(str(one.get("type"))),
        "module": mask(str(one.get("module") or "")),
        "mechanism": {"type": "generic", "handled": True},
        "stacktrace": {"frames": [dict(_frame(frame)) for frame in frames[-FRAMES:]]},
    }


def _frame(frame: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for name in _OF_A_FRAME:
        value = frame.get(name)
        if value is not None:
            yield name, mask(value) if isinstance(value, str) else value
