"""JetStream's management API as typed calls: streams, consumers and single messages.

Every room that manages or inspects streams goes through `JetStream`, in the runtime and in the
operator alike; publishing and fetching stay in `client` and `pulls`. The connection is the
caller's: `JetStream` is given one function that makes a call and raises a BusError. Each call has
`API_TIMEOUT_S` to be answered; a listing is read whole, and each of its pages is one call.

A refused call raises the error of its number (`errors`). Where absence is an ordinary answer, the
method returns None, False or an empty collection and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sinal_core.nats.errors import LaneMissing, MessageMissing

API = "$JS.API."
API_TIMEOUT_S = 5.0

# the path behind `$JS.API.` and the body; the answer's body
Api = Callable[[str, bytes], Awaitable[bytes]]
# a stream's or consumer's configuration under the server's names; durations are nanoseconds
Config = dict[str, Any]


class StreamState(msgspec.Struct, frozen=True):
    """What is in a stream."""

    messages: int = 0
    bytes: int = 0
    first_ts: datetime | None = None
    last_seq: int = 0
    consumer_count: int = 0


class StreamInfo(msgspec.Struct, frozen=True):
    """A stream as the server has it."""

    config: Config
    state: StreamState
    # RFC 3339 with nanoseconds; a stream that was made again after a loss has another
    created: str = ""

    @property
    def name(self) -> str:
        """The stream's name."""
        return str(self.config["name"])

    @property
    def metadata(self) -> dict[str, str]:
        """The stream's metadata."""
        return self.config.get("metadata") or {}

    @property
    def max_bytes(self) -> int:
        """The most bytes that the stream takes, -1 without a bound."""
        return int(self.config.get("max_bytes", -1))

    @property
    def created_at(self) -> datetime:
        """When the stream was made, to the microsecond."""
        return msgspec.convert(self.created, datetime)


class ConsumerInfo(msgspec.Struct, frozen=True):
    """A consumer as the server has it."""

    name: str
    config: Config = {}
    num_pending: int = 0
    num_ack_pending: int = 0


class Account(msgspec.Struct, frozen=True):
    """Numbers of streams and consumers in the whole account."""

    streams: int = 0
    consumers: int = 0


class StoredMessage(msgspec.Struct, frozen=True):
    """One message of a stream."""

    seq: int = 0
    subject: str = ""
    body: bytes = msgspec.field(default=b"", name="data")
    header_block: bytes = msgspec.field(default=b"", name="hdrs")
    time: datetime | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name: the block is a line with the protocol's version, then one a header."""
        lines = (line.partition(":") for line in self.header_block.decode().split("\r\n")[1:])
        return {name: value.strip() for name, colon, value in lines if colon}


class _Streams(msgspec.Struct, frozen=True):
    total: int = 0
    streams: list[StreamInfo] | None = None


class _Consumers(msgspec.Struct, frozen=True):
    total: int = 0
    consumers: list[ConsumerInfo] | None = None


class _Names(msgspec.Struct, frozen=True):
    total: int = 0
    consumers: list[str] | None = None


class _Held(msgspec.Struct, frozen=True):
    subjects: dict[str, int] | None = None


class _Subjects(msgspec.Struct, frozen=True):
    state: _Held
    total: int = 0


class _Got(msgspec.Struct, frozen=True):
    message: StoredMessage


_account = msgspec.json.Decoder(Account).decode
_stream = msgspec.json.Decoder(StreamInfo).decode
_streams = msgspec.json.Decoder(_Streams).decode
_subjects = msgspec.json.Decoder(_Subjects).decode
_consumer = msgspec.json.Decoder(ConsumerInfo).decode
_consumers = msgspec.json.Decoder(_Consumers).decode
_names = msgspec.json.Decoder(_Names).decode
_got = msgspec.json.Decoder(_Got).decode


class JetStream:
    """The management API over a connection that someone else keeps.

    Every method raises BusError: BusUnavailable without an answer, BusRefused with a refusal.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def _call(self, path: str, body: object = None) -> bytes:
        return await self._api(path, b"" if body is None else msgspec.json.encode(body))

    async def account(self) -> Account:
        """How many streams and consumers there are."""
        return _account(await self._call("INFO"))

    async def stream_info(self, name: str) -> StreamInfo:
        """One stream; raises LaneMissing where it is not there."""
        return _stream(await self._call(f"STREAM.INFO.{name}"))

    async def stream(self, name: str) -> StreamInfo | None:
        """One stream, or None where it is not there."""
        try:
            return await self.stream_info(name)
        except LaneMissing:
            return None

    async def streams(self) -> dict[str, StreamInfo]:
        """Every stream by name."""
        found: dict[str, StreamInfo] = {}
        offset = 0
        while True:
            page = _streams(await self._call("STREAM.LIST", {"offset": offset}))
            found.update((info.name, info) for info in page.streams or ())
            offset += len(page.streams or ())
            # an empty page ends it, too: a list that shrinks while it is read never reaches its
            # total
            if not page.streams or offset >= page.total:
                return found

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """Messages on each subject under a pattern, delivered or not.

        None of them where the stream is not there.
        """
        found: dict[str, int] = {}
        offset = 0
        while True:
            query = {"subjects_filter": pattern, "offset": offset}
            try:
                page = _subjects(await self._call(f"STREAM.INFO.{stream}", query))
            except LaneMissing:
                return {}
            held = page.state.subjects or {}
            found.update(held)
            offset += len(held)
            if not held or offset >= page.total:
                return found

    async def create_stream(self, config: Config) -> None:
        """Create a stream; raises NameTaken where one of another configuration has its name."""
        await self._call(f"STREAM.CREATE.{config['name']}", config)

    async def update_stream(self, config: Config) -> None:
        """Change a stream."""
        await self._call(f"STREAM.UPDATE.{config['name']}", config)

    async def delete_stream(self, name: str) -> None:
        """Remove a stream and all its messages; nothing when it is gone."""
        try:
            await self._call(f"STREAM.DELETE.{name}")
        except LaneMissing:
            return

    async def purge(self, stream: str, subject: str | None = None) -> None:
        """Remove the messages of a subject, or all."""
        await self._call(f"STREAM.PURGE.{stream}", None if subject is None else {"filter": subject})

    async def consumers(self, stream: str) -> dict[str, ConsumerInfo]:
        """Every consumer of a stream by name; none where the stream is not there."""
        found: dict[str, ConsumerInfo] = {}
        offset = 0
        while True:
            try:
                page = _consumers(await self._call(f"CONSUMER.LIST.{stream}", {"offset": offset}))
            except LaneMissing:
                return {}
            found.update((info.name, info) for info in page.consumers or ())
            offset += len(page.consumers or ())
            if not page.consumers or offset >= page.total:
                return found

    async def consumer_names(self, stream: str) -> frozenset[str]:
        """Names of a stream's consumers; none where the stream is not there."""
        found: list[str] = []
        while True:
            try:
                page = _names(await self._call(f"CONSUMER.NAMES.{stream}", {"offset": len(found)}))
            except LaneMissing:
                return frozenset()
            found.extend(page.consumers or ())
            if not page.consumers or len(found) >= page.total:
                return frozenset(found)

    async def apply_consumer(self, stream: str, config: Config) -> None:
        """Create a durable consumer or change it."""
        body = {"stream_name": stream, "config": config}
        await self._call(f"CONSUMER.DURABLE.CREATE.{stream}.{config['name']}", body)

    async def create_ephemeral(self, stream: str, config: Config) -> ConsumerInfo:
        """Create a consumer that the server names, and removes once nobody uses it."""
        body = {"stream_name": stream, "config": config}
        return _consumer(await self._call(f"CONSUMER.CREATE.{stream}", body))

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Remove a consumer; nothing when it is gone."""
        try:
            await self._call(f"CONSUMER.DELETE.{stream}.{name}")
        except LaneMissing:
            return

    async def last_message(self, stream: str, subject: str) -> StoredMessage | None:
        """The newest message of a subject; None without one."""
        return await self._message(stream, {"last_by_subj": subject})

    async def next_message(
        self, stream: str, subject: str, *, seq: int = 1
    ) -> StoredMessage | None:
        """The oldest message of a subject from a sequence on; None without one."""
        return await self._message(stream, {"seq": seq, "next_by_subj": subject})

    async def scan(self, stream: str, subject: str) -> AsyncIterator[StoredMessage]:
        """Every message on a subject, oldest first, up to where the stream ends when reached."""
        seq = 1
        while (found := await self.next_message(stream, subject, seq=seq)) is not None:
            yield found
            seq = found.seq + 1

    async def delete_message(self, stream: str, seq: int) -> bool:
        """Delete one message and overwrite its bytes; False when it was gone."""
        try:
            await self._call(f"STREAM.MSG.DELETE.{stream}", {"seq": seq})
        except (LaneMissing, MessageMissing):
            return False
        return True

    async def _message(self, stream: str, query: Mapping[str, object]) -> StoredMessage | None:
        try:
            return _got(await self._call(f"STREAM.MSG.GET.{stream}", query)).message
        except (LaneMissing, MessageMissing):
            return None
