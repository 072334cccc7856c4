"""JetStream's answers as typed data: publish acks, API errors, and the ack subject of a delivered
message.

Errors are told apart by `err_code`, JetStream's stable number, never by their text.
Source: nats-server's errors.json and ADR-1, ADR-15.
"""

from __future__ import annotations

import msgspec

from sinal_core.nats.errors import (
    BusError,
    BusRefused,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
)

CONSUMER_NOT_FOUND = 10014
STREAM_NOT_FOUND = 10059
STORE_FAILED = 10077  # a limit of the stream under discard=new: maximum bytes or messages exceeded
TOO_LARGE = 10054
NO_STORAGE = frozenset({10023, 10028, 10047})  # the account's or server's storage is used up

STATUS = "Status"
NO_RESPONDERS = "503"
HEARTBEAT = "100"

ACK = b"+ACK"
IN_PROGRESS = b"+WPI"
TERM = b"+TERM"


class ApiError(msgspec.Struct, frozen=True):
    """The `error` object of every JetStream answer."""

    code: int
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct, frozen=True):
    """Answer to a publish: the place in the stream, or why not."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class Answer(msgspec.Struct, frozen=True):
    """What every API answer has: maybe an error."""

    error: ApiError | None = None


class Delivery(msgspec.Struct, frozen=True):
    """What the ack subject of a delivered message says."""

    stream: str
    consumer: str
    deliveries: int
    seq: int
    stored_at_ns: int
    pending: int  # messages of the consumer that were not delivered yet


decode_puback = msgspec.json.Decoder(PubAck).decode
decode_answer = msgspec.json.Decoder(Answer).decode


def nak(delay_s: float) -> bytes:
    """Body of a negative ack that asks for redelivery after `delay_s` seconds."""
    return b"-NAK" if delay_s <= 0 else b'-NAK {"delay":%d}' % int(delay_s * 1e9)


def error_of(error: ApiError, subject: str) -> BusError:
    """The typed error of a JetStream error on `subject`."""
    if error.err_code == STORE_FAILED:
        return LaneFull(f"{subject}: the stream is full ({error.description})")
    if error.err_code in (STREAM_NOT_FOUND, CONSUMER_NOT_FOUND):
        return LaneMissing(f"{subject}: {error.description}")
    if error.err_code == TOO_LARGE:
        return MessageTooLarge(f"{subject}: {error.description}")
    if error.code == 503 or error.err_code in NO_STORAGE:
        return BusUnavailable(f"{subject}: {error.description}")
    return BusRefused(error.code, error.err_code, error.description)


def parse_reply(reply: str) -> Delivery | None:
    """Read `$JS.ACK.[domain.account.]stream.consumer.delivered.seq.cseq.stored.pending`.

    None for another subject.
    """
    tokens = reply.split(".")
    if len(tokens) < 9 or tokens[0] != "$JS" or tokens[1] != "ACK":
        return None
    at = 2 if len(tokens) == 9 else 4
    stream, consumer, delivered, seq, _, stored, pending = tokens[at : at + 7]
    return Delivery(stream, consumer, int(delivered), int(seq), int(stored), int(pending))
