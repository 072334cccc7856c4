"""A receiver of error reports: Sentry's envelope protocol over HTTP, in a thread."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"
OK, HANGS = 200, 0


class Receiver:
    """Keeps what arrives: `raw`, every byte of heads and bodies, and `events`, the reports."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.raw: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def dsn(self) -> str:
        """Its address, as Sentry gives them."""
        return f"http://{KEY}@127.0.0.1:{self._server.server_address[1]}/42"

    def tags(self, message: str) -> list[dict[str, str]]:
        """Of the reports with the message."""
        return [event["tags"] for event in self.events if event["message"] == message]

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; what hangs ends."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/api/42/envelope/", self.path
                assert KEY in self.headers["x-sentry-auth"]
                receiver.raw += [self.headers.as_bytes(), body]
                receiver.events += events(body)
                if receiver.status == HANGS:
                    receiver.over.wait()
                    return
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def events(envelope: bytes) -> Iterator[dict[str, Any]]:
    """The items of an envelope; each has to be an event."""
    rest = envelope.partition(b"\n")[2]
    while rest:
        head, _, rest = rest.partition(b"\n")
        item = json.loads(head)
        assert item["type"] == "event", item
        yield json.loads(rest[: item["length"]])
        rest = rest[item["length"] :].lstrip(b"\n")


@contextmanager
def receiving(status: int = OK) -> Iterator[Receiver]:
    """A started receiver."""
    receiver = Receiver(status)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
