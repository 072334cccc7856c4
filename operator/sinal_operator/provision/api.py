"""JetStream's management API: one request, one typed answer.

Listings are read whole, page by page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client

from sinal_operator import metrics

_API = "$JS.API."
STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
TIMEOUT_S = 5.0
# often what was asked for, and never a fault
_ABSENT = frozenset({STREAM_NOT_FOUND, CONSUMER_NOT_FOUND})


class Unavailable(Exception):
    """The broker can't be reached or did not answer; nothing is known, try again."""


class Refused(Exception):
    """The broker answered with an error."""

    def __init__(self, path: str, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{path}: {description} (error {err_code})")
        self.code = code
        self.err_code = err_code


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    error: _Error | None = None


class StreamState(msgspec.Struct, frozen=True):
    """Counters of a stream."""

    messages: int = 0
    bytes: int = 0
    last_seq: int = 0
    consumer_count: int = 0


class StreamInfo(msgspec.Struct, frozen=True):
    """A stream as the server has it."""

    config: dict[str, Any]
    state: StreamState
    created: str = ""

    @property
    def name(self) -> str:
        """The stream's name."""
        return str(self.config["name"])

    @property
    def metadata(self) -> dict[str, str]:
        """The stream's metadata."""
        return self.config.get("metadata") or {}


class ConsumerInfo(msgspec.Struct, frozen=True):
    """A consumer as the server has it."""

    name: str
    config: dict[str, Any]
    num_pending: int = 0
    num_ack_pending: int = 0


class Account(msgspec.Struct, frozen=True):
    """How much there is in all."""

    streams: int = 0
    consumers: int = 0


class _Streams(msgspec.Struct, frozen=True):
    total: int = 0
    streams: list[StreamInfo] | None = None


class _Consumers(msgspec.Struct, frozen=True):
    total: int = 0
    consumers: list[ConsumerInfo] | None = None


_answer = msgspec.json.Decoder(_Answer).decode
_stream = msgspec.json.Decoder(StreamInfo).decode
_streams = msgspec.json.Decoder(_Streams).decode
_consumers = msgspec.json.Decoder(_Consumers).decode
_account = msgspec.json.Decoder(Account).decode


class JetStream:
    """Calls over a connection that someone else keeps.

    None leaves while this process is not `allowed` to act.
    """

    def __init__(self, client: Client, *, allowed: Callable[[], bool] = lambda: True) -> None:
        self._client, self._allowed = client, allowed

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        if not self._client.is_connected:
            raise Unavailable("no connection to the broker")
        if not self._allowed():
            raise Unavailable("another operator may lead now")
        began = time.perf_counter()
        try:
            message = await self._client.request(subject, body, timeout=TIMEOUT_S, headers=headers)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _note(subject, "unanswered", began)
            raise Unavailable(f"{subject}: {type(error).__name__}") from error
        refusal = _answer(message.data).error
        if refusal is not None:
            _note(subject, "absent" if refusal.err_code in _ABSENT else "refused", began)
            raise Refused(
                subject.removeprefix(_API), refusal.code, refusal.err_code, refusal.description
            )
        _note(subject, "ok", began)
        return message.data

    async def _api(self, path: str, payload: object) -> bytes:
        return await self._ask(
            _API + path, msgspec.json.encode(payload) if payload is not None else b""
        )

    async def account(self) -> Account:
        """How many streams and consumers there are."""
        return _account(await self._api("INFO", None))

    async def stream(self, name: str) -> StreamInfo | None:
        """One stream, or None where it is not there."""
        try:
            return _stream(await self._api(f"STREAM.INFO.{name}", None))
        except Refused as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None
            raise

    async def streams(self) -> dict[str, StreamInfo]:
        """Every stream by name."""
        found: dict[str, StreamInfo] = {}
        offset = 0
        while True:
            page = _streams(await self._api("STREAM.LIST", {"offset": offset}))
            found.update((info.name, info) for info in page.streams or ())
            offset += len(page.streams or ())
            if not page.streams or offset >= page.total:
                return found

    async def consumers(self, stream: str) -> dict[str, ConsumerInfo]:
        """Every consumer of a stream by name; none where the stream is not there."""
        found: dict[str, ConsumerInfo] = {}
        offset = 0
        while True:
            try:
                page = _consumers(await self._api(f"CONSUMER.LIST.{stream}", {"offset": offset}))
            except Refused as error:
                if error.err_code == STREAM_NOT_FOUND:
                    return {}
                raise
            found.update((info.name, info) for info in page.consumers or ())
            offset += len(page.consumers or ())
            if not page.consumers or offset >= page.total:
                return found

    async def create_stream(self, config: dict[str, Any]) -> None:
        """Create a stream."""
        await self._api(f"STREAM.CREATE.{config['name']}", config)

    async def update_stream(self, config: dict[str, Any]) -> None:
        """Change a stream."""
        await self._api(f"STREAM.UPDATE.{config['name']}", config)

    async def delete_stream(self, name: str) -> None:
        """Remove a stream and all it holds; nothing when it is gone."""
        await self._gone(STREAM_NOT_FOUND, f"STREAM.DELETE.{name}", None)

    async def purge(self, stream: str, subject: str) -> None:
        """Remove the messages of one subject."""
        await self._api(f"STREAM.PURGE.{stream}", {"filter": subject})

    async def apply_consumer(self, stream: str, config: dict[str, Any]) -> None:
        """Create a consumer or change it."""
        payload = {"stream_name": stream, "config": config}
        await self._api(f"CONSUMER.DURABLE.CREATE.{stream}.{config['name']}", payload)

    async def delete_consumer(self, stream: str, name: str) -> None:
        """Remove a consumer; nothing when it is gone."""
        await self._gone(CONSUMER_NOT_FOUND, f"CONSUMER.DELETE.{stream}.{name}", None)

    async def store(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish into a stream, with its ack."""
        await self._ask(subject, body, headers)

    async def _gone(self, fine: int, path: str, payload: object) -> None:
        try:
            await self._api(path, payload)
        except Refused as error:
            if error.err_code != fine:
                raise


def _note(subject: str, result: str, began: float) -> None:
    metrics.NATS_SECONDS.labels(_operation(subject), result).observe(time.perf_counter() - began)


def _operation(subject: str) -> str:
    """What is asked, without of whom: `stream list`, `consumer create`.

    `store` writes into a stream.
    """
    if not subject.startswith(_API):
        return "store"
    words = [word.lower() for word in subject.removeprefix(_API).split(".") if word != "DURABLE"]
    return " ".join(words[:2]) if len(words) > 1 else "account info"
