"""The few requests to the API server that Kopf does not make for us, with its own credentials.

Plain JSON over aiohttp and not generated models: objects go into pydantic models of ours anyway,
and the generated ones would be most of the operator's memory. Statuses are merge patches of the
subresource. Invariant: no more than `PARALLEL` requests at a time, none longer than `TIMEOUT_S`,
and none that changes something without being `allowed`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import kopf

from sinal_operator.cluster.login import login
from sinal_operator.cluster.resources import EVENTS, Resource

PARALLEL = 16
WATCHES = 4  # connections beside those, for as many watches
# what kubectl and client-go ask for at a time
PAGE = 500
TIMEOUT_S = 30.0
WATCH_S = 240  # after so long the server ends a watch, and it is asked for anew
# bytes: an object is one line, and etcd takes none that is larger than 1.5 MB
_LONGEST_LINE = 4 << 20
IDLE_S = 90.0  # servers send a bookmark every minute: a watch that is silent for longer is dead
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"  # of which JSON is a part

Body = dict[str, Any]


class ApiServerUnreachable(Exception):
    """The API server can't be reached or did not answer in time."""


class ApiServerRefused(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, path: str, message: str) -> None:
        super().__init__(f"{path}: {message} ({status})")
        self.status = status

    @property
    def gone(self) -> bool:
        """Whether there is no such object."""
        return self.status == 404

    @property
    def outdated(self) -> bool:
        """Whether the object has changed since it was seen."""
        return self.status == 409


class Gone(Exception):
    """The API server has forgotten what happened since a version: list again."""


class ApiServerClient:
    """One session with the API server."""

    def __init__(
        self, *, allowed: Callable[[], bool] = lambda: True, namespaces: Sequence[str] = ()
    ) -> None:
        self._allowed, self._namespaces = allowed, tuple(namespaces)
        self._gate = asyncio.Semaphore(PARALLEL)
        self._lock = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._server = ""

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, resource: Resource, namespace: str, name: str) -> Body | None:
        """One object, or None when there is none; raises Unreachable or Refused."""
        try:
            return await self._request("GET", resource.path(namespace, name))
        except ApiServerRefused as error:
            if error.gone:
                return None
            raise

    async def pages(
        self, resource: Resource, *, namespace: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Body], str]]:
        """All objects of a kind that we serve, or of a namespace, page by page with the version of
        their listing.
        """
        for each in (namespace,) if namespace else self._namespaces or ("",):
            async for page in self._pages(resource, each, fields):
                yield page

    async def _pages(
        self, resource: Resource, namespace: str, fields: str
    ) -> AsyncIterator[tuple[list[Body], str]]:
        query = {"limit": str(PAGE), **({"fieldSelector": fields} if fields else {})}
        while True:
            page = await self._request("GET", resource.path(namespace), query=query)
            items = page.get("items") or []
            yield (
                [self._whole(resource, item) for item in items],
                page["metadata"]["resourceVersion"],
            )
            following = page["metadata"].get("continue")
            if not following:
                return
            query = {**query, "continue": following}

    async def patch_status(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        status: Mapping[str, Any],
        *,
        version: int,
    ) -> Body:
        """Merge into the status of this very version and return the object.

        Raises Unreachable or Refused.
        """
        path = resource.path(namespace, name, "status")
        body = {"metadata": {"resourceVersion": str(version)}, "status": status}
        return await self._request("PATCH", path, body=body, content=_MERGE)

    async def patch(self, resource: Resource, namespace: str, name: str, change: Body) -> Body:
        """Merge into an object and return it; raises Unreachable or Refused."""
        return await self._request(
            "PATCH", resource.path(namespace, name), body=change, content=_MERGE
        )

    async def create(self, resource: Resource, namespace: str, body: Body) -> Body:
        """Create an object and return it; raises Unreachable or Refused."""
        return await self._request("POST", resource.path(namespace), body=body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """Put an object in the place of the very version that it names.

        Raises Unreachable or Refused.
        """
        return await self._request("PUT", resource.path(namespace, name), body=body)

    async def apply(self, resource: Resource, body: Body, *, manager: str, force: bool) -> Body:
        """Server-side apply, and return the object; raises Unreachable or Refused.

        Without force what other managers have set otherwise is a conflict.
        """
        path = resource.path(body["metadata"]["namespace"], body["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self._request("PATCH", path, query=query, body=body, content=_APPLY)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """Delete this very object, if it is still there; raises Unreachable or Refused."""
        # A namesake made meanwhile has another UID: the API server answers 409, and the object that
        # was meant is gone. So both answers are success.
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", resource.path(namespace, name), body=body)
        except ApiServerRefused as error:
            if not (error.gone or error.outdated):
                raise

    async def watch(
        self, resource: Resource, version: int, *, namespace: str = ""
    ) -> AsyncIterator[tuple[str, Body]]:
        """Events of all objects of a kind since a version, until the server ends it.

        Raises Unreachable, Refused, or Gone where the version is too old.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(version),
            "timeoutSeconds": str(WATCH_S),
        }
        path = resource.path(namespace)
        session = await self._connected()
        # No total: the session's own would end every watch after 30 s. Nor does a watch take a
        # place at the gate, which it would hold for minutes.
        timeout = aiohttp.ClientTimeout(sock_connect=TIMEOUT_S, sock_read=IDLE_S)
        try:
            async with session.get(
                self._server + path, params=query, timeout=timeout, read_bufsize=_LONGEST_LINE
            ) as answer:
                if answer.status == 401:
                    await self._connected(instead_of=session)
                    raise ApiServerUnreachable(f"{path}: the credentials had to be read again")
                if answer.status >= 400:
                    raise _refusal(answer.status, path, await answer.read(), answer.reason)
                async for line in answer.content:
                    event = json.loads(line)
                    # A version that is too old is often told only here, inside a stream that began
                    # with 200.
                    if event["type"] == "ERROR":
                        raise _refusal(
                            int(event["object"].get("code") or 500), path, line, "watch failed"
                        )
                    yield event["type"], {**event["object"], "kind": resource.kind}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ApiServerUnreachable(f"{path}: {type(error).__name__}") from error

    async def post_event(self, namespace: str, event: Body) -> None:
        """Record an event; raises Unreachable or Refused."""
        await self.create(EVENTS, namespace, event)

    @staticmethod
    def _whole(resource: Resource, item: Body) -> Body:
        """Items of a list of core objects come without their kind."""
        return {"apiVersion": resource.api_version, "kind": resource.kind, **item}

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = "application/json",
    ) -> Body:
        async with self._gate:
            session = await self._connected()
            # Asked behind the gate and the login: the lease may have been lost while this request
            # waited.
            if method != "GET" and not self._allowed():
                raise ApiServerUnreachable(f"{path}: another operator may lead now")
            try:
                return await self._exchange(session, method, path, query, body, content)
            except ApiServerRefused as error:
                # A pod's token is replaced within the hour. The second 401 is believed.
                if error.status != 401:
                    raise
            session = await self._connected(instead_of=session)
            return await self._exchange(session, method, path, query, body, content)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        content: str,
    ) -> Body:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content} if data is not None else {}
        try:
            async with session.request(
                method, self._server + path, params=query, data=data, headers=headers
            ) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiServerUnreachable(f"{path}: {type(error).__name__}") from error
        if answer.status >= 400:
            raise ApiServerRefused(answer.status, path, _message(raw) or str(answer.reason))
        try:
            found: Body = json.loads(raw)
        except ValueError as error:
            raise ApiServerUnreachable(f"{path}: the answer is not JSON") from error
        return found

    async def _connected(
        self, *, instead_of: aiohttp.ClientSession | None = None
    ) -> aiohttp.ClientSession:
        """The session.

        A new one with credentials read again when there is none or the given one was turned away.
        """
        async with self._lock:
            if self._session is None or self._session is instead_of:
                await self.close()
                try:
                    info = await login()
                except kopf.LoginError as error:
                    raise ApiServerUnreachable(str(error)) from error
                self._server = info.server.rstrip("/")
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        ssl=info.as_ssl_context(), limit=PARALLEL + WATCHES
                    ),
                    headers={"User-Agent": "sinal-operator", **info.as_http_headers()},
                    timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                    proxy=_proxy(self._server),
                )
            return self._session


def _proxy(server: str) -> str | None:
    """The proxy that the environment names for the server, as other clients read it.

    Looked up once: with `trust_env` aiohttp would do so in a thread, and read ~/.netrc, for every
    request.
    """
    url = urlsplit(server)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)


def _refusal(status: int, path: str, raw: bytes, reason: str | None) -> Exception:
    return (
        Gone(path)
        if status == 410
        else ApiServerRefused(status, path, _message(raw) or str(reason))
    )


def _message(raw: bytes) -> str:
    try:
        status = json.loads(raw)
    except ValueError:
        return ""
    return str(status.get("message", "")) if isinstance(status, dict) else ""
