"""Client of the Conversions API edge: `POST /{version}/{pixel}/events`, one session for all
destinations.

The token travels in the body, never in the URL, and is cut out of every answer that is kept.
Nothing is retried here: what a failure means depends on whether the request had begun to leave, and
that is reported, not guessed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec

from sinal_core.outbox.answers import Answer, Usage
from sinal_crds.plan import DestinationPlan
from sinal_hub.meta import usage
from sinal_hub.meta.errors import GraphFailure, NoAnswer, NotSent, classify

ANSWER_BYTES = 65_536  # more of an answer is not read
# shorter than the server's: a request on a connection it just closed would be in doubt
KEEPALIVE_S = 15.0
_HEADERS = {"Content-Type": "application/json", "User-Agent": "sinal"}

_encode = msgspec.json.Encoder().encode


class GraphClient:
    """Sends server events; `base_url` is `https://graph.facebook.com` or an emulator's."""

    def __init__(self, base_url: str, *, timeout_s: float, connect_timeout_s: float = 5.0) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=min(connect_timeout_s, timeout_s)
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, destination: DestinationPlan, events: Sequence[Mapping[str, Any]]
    ) -> Answer:
        """One request with all `events` (1 to 1,000).

        A failure is an answer, nothing is raised for one.
        """
        started = time.monotonic()
        status: int | None = None
        seen = Usage()
        body: bytes | GraphFailure
        try:
            status, body, seen = await self._post(destination, events)
        except GraphFailure as failure:
            body = failure
        return Answer(
            verdict=classify(
                status, body, sent=len(events), usage=seen, secret=destination.access_token
            ),
            usage=seen,
            latency_ms=round((time.monotonic() - started) * 1000),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(
        self, destination: DestinationPlan, events: Sequence[Mapping[str, Any]]
    ) -> tuple[int, bytes, Usage]:
        flight = SimpleNamespace(left=False)
        url = f"{self._base_url}/{destination.api_version}/{destination.pixel_id}/events"
        try:
            async with self._open().post(
                url,
                data=_body(destination, events),
                trace_request_ctx=flight,
                # A redirect that keeps the body would carry the token to wherever it points.
                allow_redirects=False,
            ) as response:
                answer = await _read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return response.status, answer, usage.read(headers)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            kind = NoAnswer if flight.left else NotSent
            raise kind(type(error).__name__) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_leaving)
            self._session = aiohttp.ClientSession(
                # No limit here, where aiohttp's own is 100: `dispatch_concurrency` bounds what is
                # under way, and may be larger.
                connector=aiohttp.TCPConnector(
                    limit=0, ttl_dns_cache=60, keepalive_timeout=KEEPALIVE_S
                ),
                timeout=self._timeout,
                headers=_HEADERS,
                trace_configs=[trace],
                # One session serves all tenants: a cookie would tie their requests together at
                # Meta.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _leaving(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    """Called just before the first byte is written: from here on the request may arrive."""
    context.trace_request_ctx.left = True


def _body(destination: DestinationPlan, events: Sequence[Mapping[str, Any]]) -> bytes:
    body: dict[str, Any] = {"data": events, "access_token": destination.access_token}
    if destination.test_event_code:
        body["test_event_code"] = destination.test_event_code
    return _encode(body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES:
            break
    return b"".join(chunks)[:ANSWER_BYTES]
