"""The bus as every room sees it: publish with the broker's ack, ask for provisioning, read depths,
watch buckets.

Invariant: `publish` returns only after the broker has stored the message; everything else is an
error of a type that says what to do. Nothing here creates streams or consumers: the provisioner
owns them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg

from sinal_core.nats import wire
from sinal_core.nats.connection import BrokerConnection
from sinal_core.nats.depth import Depth, Survey, survey
from sinal_core.nats.errors import BusError, BusUnavailable, LaneMissing
from sinal_core.nats.jetstream import API, API_TIMEOUT_S, JetStream
from sinal_core.nats.kv import Bucket, watch_bucket
from sinal_core.nats.requests import Reply, RequestMultiplexer
from sinal_core.telemetry.places import where
from sinal_core.telemetry.tracing import HEADER, Tracer
from sinal_crds import names

log = structlog.get_logger(__name__)

PROVISION_INTERVAL_S = 1.0
MSG_ID = "Nats-Msg-Id"


class Published(msgspec.Struct, frozen=True):
    """The broker's ack: the message's place in its stream, and whether it was there already."""

    seq: int
    duplicate: bool


Ended = Callable[[Published | BusError], None]


class Outgoing(msgspec.Struct, frozen=True):
    """One message of `publish_many`."""

    subject: str
    body: bytes
    msg_id: str
    headers: Mapping[str, str] | None = None


class Publisher(Protocol):
    """What ingest, matching and sweepers need of the bus."""

    @property
    def connected(self) -> bool:
        """Whether a publish has a chance now."""
        ...

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Published:
        """Store one message; raises a BusError."""
        ...

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]:
        """Store many at once; one result each, in order."""
        ...

    def request_provision(self, slug: str | None = None) -> None:
        """Ask the provisioner to look at a tenant."""
        ...


class Bus:
    """One connection to the broker."""

    def __init__(self, *, name: str, tracer: Tracer | None = None) -> None:
        self.link = BrokerConnection(name=name)
        self._tracer = tracer
        self._replies = RequestMultiplexer(self.link.client)
        self._wanted: set[str] = set()
        self._asked: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        on_reconnect: Callable[[], Awaitable[None] | None] | None = None,
        wait_s: float | None = None,
        tracer: Tracer | None = None,
        authority: ssl.SSLContext | None = None,
    ) -> Bus:
        """Connect and stay so for ever.

        Without `wait_s` it returns once connected; with it, after that many seconds at most, and
        goes on trying. `on_reconnect` is called at every connect after the first. With an
        `authority` the broker has to prove by TLS that it is of it.
        """
        bus = cls(name=name, tracer=tracer)
        bus.link.listen(up=lambda: None, down=bus._replies.fail_all)
        connecting = bus._spawn(
            bus.link.connect(url, attach=bus._replies.attach, authority=authority)
        )
        # not `wait_for`, which would cancel it: after `wait_s` the connecting goes on in the
        # background
        done, _ = await asyncio.wait({connecting}, timeout=wait_s)
        for task in done:
            task.result()
        if on_reconnect is not None:
            bus._announce(on_reconnect)
        return bus

    def _announce(self, on_reconnect: Callable[[], Awaitable[None] | None]) -> None:
        first = True

        def up() -> None:
            nonlocal first
            # the first connect is not a reconnect, whether it was before `listen` or comes later
            if first:
                first = False
            elif (result := on_reconnect()) is not None:
                self._spawn(result)

        self.link.listen(up=up, down=lambda: None)

    def _spawn(self, work: Awaitable[object]) -> asyncio.Task[object]:
        async def run() -> object:
            return await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("bus.task_failed", error=type(error).__name__, at=where(error), fault=error)

    @property
    def connected(self) -> bool:
        """Whether a publish has a chance now."""
        return self.link.connected

    @property
    def awaited(self) -> int:
        """Publishes and requests whose answer has not come yet."""
        return len(self._replies)

    async def publish(
        self,
        subject: str,
        body: bytes,
        *,
        msg_id: str,
        timeout_s: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> Published:
        """Store one message.

        Raises BusUnavailable, LaneMissing, LaneFull, MessageTooLarge, BusRefused.

        What is traced goes on in the message's reader, unless `headers` name another trace.
        """
        if headers is not None:
            return await self._publish(subject, body, {MSG_ID: msg_id, **headers}, timeout_s)
        if self._tracer is None:
            ended: asyncio.Future[Published | BusError] = asyncio.get_running_loop().create_future()
            if self.begin(
                subject, body, msg_id=msg_id, timeout_s=timeout_s, done=partial(_settle, ended)
            ):
                return _taken(await ended)
            return await self._publish(subject, body, {MSG_ID: msg_id}, timeout_s)
        with self._tracer.inner("nats.publish", kind="producer"):
            told = self._tracer.traceparent()
            own = {MSG_ID: msg_id} if told is None else {MSG_ID: msg_id, HEADER: told}
            return await self._publish(subject, body, own, timeout_s)

    async def _publish(
        self, subject: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> Published:
        return _stored(
            await self.call(subject, body, headers=headers, timeout_s=timeout_s), subject
        )

    def begin(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float, done: Ended
    ) -> bool:
        """Publish without waiting: `done` is called once with how it ended.

        Raises BusUnavailable, MessageTooLarge.

        False where that can't be done now, and has to go by `publish`. What is traced does.
        """
        if self._tracer is not None:
            return False
        if not self.link.connected:
            raise _no_connection(subject)

        def answered(result: Reply | BusError) -> None:
            done(result if isinstance(result, BusError) else _outcome(result, subject))

        return self._replies.post(subject, body, msg_id=msg_id, timeout_s=timeout_s, done=answered)

    async def publish_many(
        self, messages: Sequence[Outgoing], *, timeout_s: float = 5.0
    ) -> list[Published | BusError]:
        """Store many at once, pipelined.

        One result each, in order: one refusal costs no other its place.
        """
        begun = [self._begun(message, timeout_s) for message in messages]
        return list(await asyncio.gather(*begun))

    def _begun(self, message: Outgoing, timeout_s: float) -> Awaitable[Published | BusError]:
        """One of many, on its way; without a task where that is possible."""
        ended: asyncio.Future[Published | BusError] = asyncio.get_running_loop().create_future()
        subject, body, msg_id, headers = (
            message.subject,
            message.body,
            message.msg_id,
            message.headers,
        )
        try:
            if not headers and self.begin(
                subject, body, msg_id=msg_id, timeout_s=timeout_s, done=partial(_settle, ended)
            ):
                return ended
        except BusError as error:
            ended.set_result(error)
            return ended
        return self._one_of_many(message, timeout_s)

    async def _one_of_many(self, message: Outgoing, timeout_s: float) -> Published | BusError:
        try:
            return await self.publish(
                message.subject,
                message.body,
                msg_id=message.msg_id,
                timeout_s=timeout_s,
                headers=message.headers,
            )
        except BusError as error:
            return error

    async def call(
        self,
        subject: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        """One request and its answer.

        Raises BusUnavailable, LaneMissing (nobody listens), MessageTooLarge.
        """
        if not self.link.connected:
            raise _no_connection(subject)
        return _heard(
            await self._replies.call(subject, body, headers=headers, timeout_s=timeout_s), subject
        )

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = API_TIMEOUT_S) -> bytes:
        """One call of the JetStream API (`path` after `$JS.API.`).

        Raises as `call`, and BusRefused.
        """
        answer = await self.call(API + path, body, timeout_s=timeout_s)
        error = wire.decode_answer(answer.data).error
        if error is not None:
            raise wire.error_of(error, path)
        return answer.data

    async def put(self, bucket: str, key: str, value: bytes, *, timeout_s: float = 5.0) -> None:
        """Set a key of a KV bucket; raises a BusError."""
        subject = f"$KV.{bucket}.{key}"
        ack = wire.decode_puback((await self.call(subject, value, timeout_s=timeout_s)).data)
        if ack.error is not None:
            raise wire.error_of(ack.error, subject)

    async def send(self, subject: str, body: bytes = b"", *, reply: str = "") -> bool:
        """Fire and forget; False when there is no connection to send it on."""
        if not self.link.connected:
            return False
        try:
            await self.link.client.publish(subject, body, reply=reply)
        except (nats.errors.Error, OSError):
            return False
        return True

    async def listen(self, subject: str, heard: Callable[[bytes], None]) -> None:
        """Call back with the body of each message of a subject, as long as the connection lives."""

        async def told(message: Msg) -> None:
            heard(message.data)

        await self.link.client.subscribe(subject, cb=told)

    async def serve(
        self, subject: str, answer: Callable[[bytes], Awaitable[bytes | None]], *, queue: str = ""
    ) -> None:
        """Answer the requests of a subject, as long as the connection lives.

        None leaves one without an answer.

        Of those that serve one `queue` each request reaches one.
        """

        async def told(message: Msg) -> None:
            said = await answer(message.data)
            if said is not None and message.reply:
                await self.send(message.reply, said)

        await self.link.client.subscribe(subject, queue=queue, cb=told)

    async def flush(self, *, timeout_s: float = 5.0) -> bool:
        """Wait until the broker has read everything sent so far; False when it could not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.link.client.flush()
        except (nats.errors.Error, OSError, TimeoutError):
            return False
        return True

    def request_provision(self, slug: str | None = None) -> None:
        """Ask the provisioner to look at a tenant, or at all.

        Many in a second become one request for all.
        """
        self._wanted.add(slug or "")
        if self._asked is None:
            self._ask()

    def _ask(self) -> None:
        self._asked = None
        if not self._wanted:
            return
        body = self._wanted.pop() if len(self._wanted) == 1 else ""
        self._wanted.clear()
        self._spawn(self.send(names.PROVISION_SUBJECT, body.encode()))
        # The first was sent at once; those that come within a second of it wait for this timer.
        self._asked = asyncio.get_running_loop().call_later(PROVISION_INTERVAL_S, self._ask)

    async def depths(self, *, ages: bool = False) -> list[Depth]:
        """What waits in every lane; raises BusError.

        Idle tenants cost nothing beyond one paged listing.

        `ages` adds when the oldest message was stored: a request more for each busy lane of a
        tenant with several.
        """
        return list((await self.survey(ages=ages)).depths)

    async def survey(self, *, ages: bool = False) -> Survey:
        """As `depths`, with the names of all tenants."""
        return await survey(JetStream(self.api), ages=ages)

    def watch(self, bucket: str) -> AsyncIterator[Bucket]:
        """The whole content of a KV bucket, again after every change, for ever."""
        return watch_bucket(self, bucket)

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Wait for the acks under way, send what is buffered, close the connection."""
        if self._asked is not None:
            self._asked.cancel()
        if self.connected:
            # before the link ends: an ack that comes too late would be a doubt, and its event sent
            # again
            await self._replies.idle(timeout_s=timeout_s)
        await self.link.close(timeout_s=timeout_s)
        self._replies.fail_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _no_connection(subject: str) -> BusUnavailable:
    return BusUnavailable(f"{subject}: no connection to the broker")


def _heard(answer: Reply, subject: str) -> Reply:
    """An answer of somebody; raises LaneMissing for the broker's word that nobody listens."""
    if answer.headers and answer.headers.get(wire.STATUS) == wire.NO_RESPONDERS:
        raise LaneMissing(f"{subject}: nothing listens there; is the tenant provisioned?")
    return answer


def _stored(answer: Reply, subject: str) -> Published:
    """The ack of a publish; raises what the broker refused it with."""
    ack = wire.decode_puback(_heard(answer, subject).data)
    if ack.error is not None:
        raise wire.error_of(ack.error, subject)
    return Published(ack.seq, ack.duplicate)


def _outcome(answer: Reply, subject: str) -> Published | BusError:
    try:
        return _stored(answer, subject)
    except BusError as error:
        return error
    except msgspec.MsgspecError:
        return BusUnavailable(f"{subject}: what answered is not a stream")


def _taken(outcome: Published | BusError) -> Published:
    if isinstance(outcome, BusError):
        raise outcome
    return outcome


def _settle(ended: asyncio.Future[Published | BusError], outcome: Published | BusError) -> None:
    if not ended.done():
        ended.set_result(outcome)
