"""JetStream's management client over the operator's connection: fenced and measured."""

from __future__ import annotations

import time
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client

from sinal_core.nats import wire
from sinal_core.nats.errors import BusUnavailable, LaneMissing
from sinal_core.nats.jetstream import API, API_TIMEOUT_S, JetStream
from sinal_operator import metrics


class FencedJetStream(JetStream):
    """Calls over a connection that someone else keeps.

    None leaves while this process is not `allowed` to act.
    """

    def __init__(self, client: Client, *, allowed: Callable[[], bool] = lambda: True) -> None:
        super().__init__(self._manage)
        self._client, self._allowed = client, allowed

    async def store(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish into a stream, with its ack; raises BusError."""
        await self._ask(subject, body, headers)

    async def _manage(self, path: str, body: bytes) -> bytes:
        return await self._ask(API + path, body)

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        if not self._client.is_connected:
            raise BusUnavailable("no connection to the broker")
        if not self._allowed():
            raise BusUnavailable("another operator may lead now")
        began = time.perf_counter()
        try:
            message = await self._client.request(
                subject, body, timeout=API_TIMEOUT_S, headers=headers
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _note(subject, "unanswered", began)
            raise BusUnavailable(f"{subject}: {type(error).__name__}") from error
        refused = wire.decode_answer(message.data).error
        if refused is not None:
            refusal = wire.error_of(refused, subject.removeprefix(API))
            # absence is often what was asked for, and never a fault
            _note(subject, "absent" if isinstance(refusal, LaneMissing) else "refused", began)
            raise refusal
        _note(subject, "ok", began)
        return message.data


def _note(subject: str, result: str, began: float) -> None:
    metrics.NATS_SECONDS.labels(_operation(subject), result).observe(time.perf_counter() - began)


def _operation(subject: str) -> str:
    """What is asked, without of whom: `stream list`, `consumer create`.

    `store` writes into a stream.
    """
    if not subject.startswith(API):
        return "store"
    words = [word.lower() for word in subject.removeprefix(API).split(".") if word != "DURABLE"]
    return " ".join(words[:2]) if len(words) > 1 else "account info"
