"""The edge without sockets: in-memory ports and a client that speaks ASGI, for unit tests of this
and other rooms.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec

from sinal_core.http.asgi import Asgi
from sinal_core.nats.client import Outgoing
from sinal_core.nats.errors import BusError
from sinal_hub.model.events import Event, decode_event
from sinal_hub.quarantine.keeping import CannotKeep


class Ack(msgspec.Struct, frozen=True):
    """The broker's ack."""

    seq: int
    duplicate: bool


class MemoryBus:
    """Keeps what is published, by subject; `error` makes every publish fail."""

    def __init__(self) -> None:
        self.connected = True
        self.error: BusError | None = None
        self.messages: list[tuple[str, str, bytes]] = []  # subject, msg_id, body
        self.provisions: list[str | None] = []

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Ack:
        """Store, unless the tenant's stream has a message of that id."""
        if self.error is not None:
            raise self.error
        return self.store(subject, body, msg_id=msg_id)

    def store(self, subject: str, body: bytes, *, msg_id: str) -> Ack:
        """Store as a broker that is there."""
        stream = subject.split(".")[1]
        known = {(kept.split(".")[1], key) for kept, key, _ in self.messages}
        duplicate = (stream, msg_id) in known
        if not duplicate:
            self.messages.append((subject, msg_id, body))
        return Ack(len(self.messages), duplicate)

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Ack | BusError]:
        """Store each; one result each, in order."""
        results: list[Ack | BusError] = []
        for one in messages:
            try:
                results.append(
                    await self.publish(
                        one.subject, one.body, msg_id=one.msg_id, timeout_s=timeout_s
                    )
                )
            except BusError as error:
                results.append(error)
        return results

    def request_provision(self, slug: str | None = None) -> None:
        """Note the request."""
        self.provisions.append(slug)

    @property
    def events(self) -> list[Event]:
        """What was published, in order."""
        return [decode_event(body) for _, _, body in self.messages]


class MemoryQuarantine:
    """Keeps bodies in clear; `broken` makes it refuse."""

    def __init__(self) -> None:
        self.broken = False
        self.kept: list[dict[str, object]] = []

    async def keep(
        self, *, tenant: str, integration: str, gateway: str, raw: bytes, reason: str
    ) -> str:
        """Store one body."""
        if self.broken:
            raise CannotKeep
        self.kept.append(
            {
                "tenant": tenant,
                "integration": integration,
                "gateway": gateway,
                "raw": raw,
                "reason": reason,
            }
        )
        return f"kept-{len(self.kept)}"


class Reply(msgspec.Struct, frozen=True):
    """An answer of the application."""

    status: int
    headers: dict[str, str]  # of several with one name the last
    body: bytes
    set_cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class Client:
    """Sends requests to an ASGI application."""

    def __init__(
        self, app: Asgi, *, host: str = "ingest.example", peer: str | None = "203.0.113.9"
    ) -> None:
        self._app = app
        self._host = host
        self._peer = peer

    async def post(
        self, path: str, body: object = b"", *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """POST bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.send("POST", path, [raw], headers=headers)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """GET."""
        return await self.send("GET", path, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        chunks: Iterable[bytes] | AsyncIterator[bytes] = (b"",),
        *,
        headers: Mapping[str, str] | None = None,
        raw_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Reply:
        """One request, its body in pieces.

        Raises RuntimeError when the application does not answer exactly once.
        """
        sent: list[MutableMapping[str, Any]] = []
        target, _, query = path.partition("?")
        named = {"host": self._host, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in named.items()]
            + list(raw_headers),
            "client": (self._peer, 4_711) if self._peer else None,
        }
        body = _messages(chunks)

        async def receive() -> MutableMapping[str, Any]:
            return await anext(body)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        if [message["type"] for message in sent] != ["http.response.start", "http.response.body"]:
            raise RuntimeError(f"no single answer: {[message['type'] for message in sent]}")
        cookies = tuple(
            value.decode("latin-1") for name, value in sent[0]["headers"] if name == b"set-cookie"
        )
        found = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], found, sent[1]["body"], set_cookies=cookies)


async def _messages(
    chunks: Iterable[bytes] | AsyncIterator[bytes],
) -> AsyncIterator[MutableMapping[str, Any]]:
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
    else:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


def sha256(text: str) -> str:
    """Hex digest, as plans hold keys and tokens."""
    return hashlib.sha256(text.encode()).hexdigest()
