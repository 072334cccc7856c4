"""Messages of one lane as entries to send: decoded, one entry a row however often it was delivered.

A message names its entry and holds no more: what it means is decided by the row, where an erasure
and a withdrawn consent reach it. How long a batch gathers is the lane's business (`batch` and
`linger_s` of the bus); how many entries share a request is the destination's (`Terms.most`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.ports import Message

KNOWN_VERSION = 1

M = TypeVar("M", bound=Message)


class Pointer(msgspec.Struct, kw_only=True, frozen=True):
    """One entry of an outbox to send."""

    id: int
    created_at: int  # Unix ms of the row, to find its partition
    v: int = KNOWN_VERSION


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Pointer).decode


class Inbox(msgspec.Struct, Generic[M], frozen=True):
    """What a handler was given, sorted out."""

    rows: dict[Ref, list[M]]
    broken: list[M]  # no row can be read out of them
    foreign: list[M]  # of a newer release: a newer worker will understand


def sort_out(messages: Sequence[M]) -> Inbox[M]:
    """Decode the messages of one lane."""
    inbox: Inbox[M] = Inbox({}, [], [])
    for message in messages:
        try:
            body = decode(message.body)
        except msgspec.MsgspecError:
            inbox.broken.append(message)
            continue
        if body.v > KNOWN_VERSION:
            inbox.foreign.append(message)
        else:
            inbox.rows.setdefault(Ref(body.id, body.created_at), []).append(message)
    return inbox
