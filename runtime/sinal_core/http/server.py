"""One HTTP listener inside a running event loop: started, asked for its URL, stopped with its
requests finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Literal

import uvicorn

from sinal_core.http.protocol import Guarded

GRACE_S = 3


class ListenError(RuntimeError):
    """The address can't be listened on; the message names it."""


class _Quiet(uvicorn.Server):
    """Leaves signals to the process that embeds it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves one ASGI application; port 0 takes a free one.

    Every listener has the guarded protocol unless told.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str,
        port: int,
        grace_s: int = GRACE_S,
        protocol: type[asyncio.Protocol] | Literal["httptools"] = Guarded,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="none",
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            # uvicorn would put what X-Forwarded-For says in the peer's place; `client_ip` judges
            # that by the number of proxies
            proxy_headers=False,
            timeout_graceful_shutdown=grace_s,
            backlog=2048,
        )
        self._host = host
        self._port = port
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Base URL of the listener."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self._port}"

    @property
    def connections(self) -> int:
        """Connections that are open; none before the start and after the stop."""
        return 0 if self._server is None else len(self._server.server_state.connections)

    async def start(self) -> None:
        """Bind and serve; raises ListenError."""
        # Bound here: where the address is taken uvicorn ends the whole process, in which other
        # listeners may be.
        listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        # connections of the process before rest in TIME_WAIT and would keep a restart off the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise ListenError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            ) from error
        self._port = listener.getsockname()[1]
        self._server = _Quiet(self._config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        # uvicorn tells that it has started by this flag alone
        while not self._server.started:
            if self._task.done():
                await self._task
                raise ListenError(f"the listener on {self._host}:{self._port} ended while starting")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no new connection, finish the requests under way, close."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._server = self._task = None
