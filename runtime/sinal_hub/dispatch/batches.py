"""Messages of one lane as rows to send: decoded, one entry a row however often it was delivered.

How long a batch gathers is the lane's business (`batch` and `linger_s` of the bus); how many rows
share a request is the destination's (`Batch.max_events`, never more than Meta's 1,000).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sinal_crds.plan import DestinationPlan
from sinal_hub.dispatch.ports import Message
from sinal_hub.model.events import decode_dispatch
from sinal_hub.store.ledger import Ref

META_MAX_EVENTS = 1_000
KNOWN_VERSION = 1


class Inbox(msgspec.Struct, frozen=True):
    """What a handler was given, sorted out."""

    rows: dict[Ref, list[Message]]
    broken: list[Message]  # no row can be read out of them
    foreign: list[Message]  # of a newer release: a newer worker will understand


def sort_out(messages: Sequence[Message]) -> Inbox:
    """Decode the messages of one lane."""
    inbox = Inbox({}, [], [])
    for message in messages:
        try:
            body = decode_dispatch(message.body)
        except msgspec.MsgspecError:
            inbox.broken.append(message)
            continue
        if body.v > KNOWN_VERSION:
            inbox.foreign.append(message)
        else:
            inbox.rows.setdefault(Ref(body.id, body.created_at), []).append(message)
    return inbox


def size(destination: DestinationPlan) -> int:
    """Most events of one request."""
    return max(1, min(destination.batch.max_events, META_MAX_EVENTS))
