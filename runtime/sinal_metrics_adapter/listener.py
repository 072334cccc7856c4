"""A TLS listener whose certificate and trusted authority change while it serves.

Connections that begin after `present` get the new ones, those under way keep theirs. No session is
resumed: a client that was trusted once shows its certificate again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

from aiohttp import web

from sinal_core.http.server import ListenError
from sinal_metrics_adapter.certificates import KeyPair

GRACE_S = 3.0


class TlsListener:
    """Serves one application; port 0 takes a free one."""

    def __init__(self, app: web.Application, *, host: str, port: int) -> None:
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=GRACE_S
        )
        self._host, self.port = host, port
        self._current: ssl.SSLContext | None = None

    def present(self, pair: KeyPair, authorities: bytes) -> None:
        """Show this certificate to new connections, and believe client certificates of these
        authorities.
        """
        context = _context()
        with _as_file(pair.certificate + pair.key) as path:
            context.load_cert_chain(path)
        context.load_verify_locations(cadata=authorities.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        self._current = context

    async def start(self) -> None:
        """Bind and serve; `present` has been called. Raises ListenError."""
        listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self.port))
        except OSError as error:
            listener.close()
            raise ListenError(
                f"cannot listen on {self._host}:{self.port}: {error.strerror}"
            ) from error
        self.port = listener.getsockname()[1]
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=self._doorway()).start()

    async def stop(self) -> None:
        """Take no new connection, finish the requests under way, close."""
        await self._runner.cleanup()

    def _doorway(self) -> ssl.SSLContext:
        """A context that gives each new connection the current one.

        It is asked of those without a name too.
        """
        doorway = _context()
        # OpenSSL takes certificate and authorities from the context that is put in, but the
        # connection keeps the verify mode that it began with.
        doorway.verify_mode = ssl.CERT_OPTIONAL

        def choose(
            connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext
        ) -> None:
            if self._current is not None:
                connection.context = self._current

        doorway.sni_callback = choose
        return doorway


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Two switches: the option ends tickets up to TLS 1.2, their number those of TLS 1.3.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path to read the content from, in memory only: no disk ever holds the key."""
    # Python's ssl takes a key from a path only.
    descriptor = os.memfd_create("sinal")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
