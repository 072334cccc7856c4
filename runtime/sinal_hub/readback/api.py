"""Client of gateways' APIs: one GET, to a host that no delivery can choose, answered whole or not
at all.

Redirects are not followed, cookies not kept, answers bounded; a refusal never quotes the answer or
the credentials.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from sinal_hub.model.readback import ReadBack

MAX_ANSWER = 1 << 20  # bytes
CONNECTIONS_PER_HOST = 16
_HEADERS = {"Accept": "application/json, application/xml;q=0.9", "User-Agent": "sinal"}


class ReadBackError(Exception):
    """The gateway's API did not tell the sale."""


class Busy(ReadBackError):
    """No answer in time, or one that asks to come again: the call may succeed later."""


class Denied(ReadBackError):
    """The credentials are not accepted: somebody must correct them."""


class NotThere(ReadBackError):
    """The API knows nothing of that id, or not yet."""


class GatewayApi:
    """One session for all gateways; `urls` stands in for a gateway's own host."""

    def __init__(self, *, urls: Mapping[str, str], timeout_s: float) -> None:
        self._urls = dict(urls)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, gateway: str, base_url: str, call: ReadBack, credentials: Mapping[str, str]
    ) -> bytes:
        """The answer's body; raises Busy, Denied, NotThere, MissingCredential."""
        headers, query = call.filled(credentials)
        url = self._urls.get(gateway, base_url).rstrip("/") + call.path
        try:
            async with self._open().get(
                url, headers=headers, params=query, allow_redirects=False
            ) as response:
                _check(response.status)
                return await _whole(response)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise Busy(type(error).__name__) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit_per_host=CONNECTIONS_PER_HOST, ttl_dns_cache=60
                ),
                timeout=self._timeout,
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _check(status: int) -> None:
    if status in (401, 403):
        raise Denied(f"HTTP {status}")
    if status in (400, 404, 410):
        raise NotThere(f"HTTP {status}")
    if status != 200:
        raise Busy(f"HTTP {status}")


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise Busy("the answer is larger than any payment")
        chunks.append(chunk)
    return b"".join(chunks)
