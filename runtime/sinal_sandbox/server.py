"""The process around the application: one listening socket, a clean stop, and each connection at
hand for resets.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator
from types import FrameType

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sinal_sandbox.app import build
from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.transport import Closing

_STOP_S = 3  # for answers under way
_BACKLOG = 1_024


class Protocol(HttpToolsProtocol):
    """HTTP with the connection's transport in the request's state, for `transport.abort`."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class Server(uvicorn.Server):
    """A server that says where it listens, and ends with status 0 on SIGTERM and SIGINT."""

    def __init__(self, config: uvicorn.Config, *, closing: Closing) -> None:
        super().__init__(config)
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and print one line for each socket."""
        await super().startup(sockets=sockets)
        for listener in sockets or []:
            # Who started it with port 0 reads the port here.
            print(f"listening on {_url(listener)}", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals without raising them again after the stop, which would end the process
        with a signal.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and let go of answers that hang on purpose."""
        self.should_exit = True
        self._closing.set()


def run(config: SandboxConfig, *, host: str, port: int) -> None:
    """Serve until a signal; raises OSError where the address can't be bound."""
    with _listen(host, port) as listener:
        uvloop.run(_serve(config, listener))


async def _serve(config: SandboxConfig, listener: socket.socket) -> None:
    sandbox = build(config)
    settings = uvicorn.Config(
        sandbox.app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    try:
        await Server(settings, closing=sandbox.closing).serve(sockets=[listener])
    finally:
        if sandbox.journal is not None:
            sandbox.journal.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
