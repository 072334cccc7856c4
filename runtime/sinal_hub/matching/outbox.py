"""Publishes rows of the outbox and remembers that it did.

Publishing twice is harmless: the broker knows the message id, and dispatch claims a row only once.
Forgetting is not: a row that no delivered event stands behind is marked only after the broker's
ack, and a row that the broker did not take loses its mark, so that the sweeper finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from sinal_core.nats.client import Outgoing, Publisher
from sinal_core.nats.errors import BusError, LaneMissing
from sinal_core.outbox.messages import Pointer
from sinal_core.telemetry.tracing import HEADER
from sinal_crds import names
from sinal_hub.model.events import encode
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.matching_rows import Outbox

log = structlog.get_logger(__name__)


async def publish(
    bus: Publisher,
    store: MatchStore,
    outbox: Sequence[Outbox],
    *,
    traces: Mapping[str, str] | None = None,
) -> bool:
    """Publish and mark; False when the broker did not take all of them. Raises StoreUnavailable.

    `traces` are the traceparents that go on, by the id of the event behind a row.
    """
    if not outbox:
        return True
    answers = await bus.publish_many([_message(row, traces) for row in outbox])
    taken = [
        row for row, answer in zip(outbox, answers, strict=True) if not isinstance(answer, BusError)
    ]
    for row, answer in zip(outbox, answers, strict=True):
        # Workers publish to streams and never make one: that is the provisioner's, which knows
        # whose a stream is and what its limits are.
        if isinstance(answer, LaneMissing):
            bus.request_provision(row.tenant_id)
    refused = [
        row for row, answer in zip(outbox, answers, strict=True) if isinstance(answer, BusError)
    ]
    await store.mark_published(taken, refused)
    if len(taken) < len(outbox):
        kinds = sorted(
            {type(answer).__name__ for answer in answers if isinstance(answer, BusError)}
        )
        log.warning("outbox.unpublished", rows=len(outbox) - len(taken), errors=kinds)
    return len(taken) == len(outbox)


def _message(row: Outbox, traces: Mapping[str, str] | None) -> Outgoing:
    trace = traces.get(row.source_event) if traces else None
    return Outgoing(
        subject=names.out_subject(row.tenant_id, row.destination),
        # The row's time has no more than milliseconds (`add_capi_events`): by it and the id,
        # dispatch finds the row without looking into every partition.
        body=encode(Pointer(id=row.id, created_at=round(row.created_at.timestamp() * 1000))),
        # The generation is part of the id: within its window for duplicates the broker would drop
        # what is published again on purpose, as after a replay.
        msg_id=f"{row.event_id}:{row.destination}:{row.generation}",
        headers=None if trace is None else {HEADER: trace},
    )
