"""JetStream's answers as typed data: publish acks, API errors, and the ack subject of a delivered
message.

Errors are told apart by `err_code`, JetStream's stable number, never by their text.
Source: nats-server's errors.json and ADR-1, ADR-15.
"""

from __future__ import annotations

import msgspec

from sinal_core.nats.errors import (
    BrokerBusy,
    BusRefused,
    ConsumerMissing,
    MessageMissing,
    NameTaken,
    PayloadTooLarge,
    StorageExhausted,
    StreamFull,
    StreamMissing,
    SubjectsTaken,
)

_TYPES: dict[int, type[BusRefused]] = {
    10014: ConsumerMissing,
    10023: StorageExhausted,  # insufficient resources
    10028: StorageExhausted,  # memory of the account or server
    10037: MessageMissing,
    10043: MessageMissing,  # a sequence that the stream has not
    10047: StorageExhausted,  # disk of the account or server
    10054: PayloadTooLarge,
    10057: MessageMissing,  # deleted before
    10058: NameTaken,
    10059: StreamMissing,
    10065: SubjectsTaken,  # of another stream
    10077: StreamFull,  # maximum bytes or messages under discard=new
    10099: SubjectsTaken,  # of another consumer that reads all of the work queue
    10100: SubjectsTaken,  # of another consumer of the work queue
}

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


def error_of(error: ApiError, subject: str) -> BusRefused:
    """The typed error of a JetStream error on `subject`."""
    type_ = _TYPES.get(error.err_code) or (BrokerBusy if error.code == 503 else BusRefused)
    return type_(error.code, error.err_code, error.description, about=subject)


def parse_reply(reply: str) -> Delivery | None:
    """Read `$JS.ACK.[domain.account.]stream.consumer.delivered.seq.cseq.stored.pending`.

    None for another subject.
    """
    tokens = reply.split(".")
    if len(tokens) < 9 or tokens[0] != "$JS" or tokens[1] != "ACK":
        return None
    # newer servers put domain and account before the stream, and more at the end
    at = 2 if len(tokens) == 9 else 4
    stream, consumer, delivered, seq, _, stored, pending = tokens[at : at + 7]
    return Delivery(stream, consumer, int(delivered), int(seq), int(stored), int(pending))
