"""What kube-state-metrics tells of the chart's autoscalers, served to a scraper: a page that it
wrote, kept in a file.

To write it anew: `kube-state-metrics --kubeconfig=… --resources=horizontalpodautoscalers` over a
control plane with the chart's autoscalers, and its `/metrics`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parent / "kube_state_metrics.txt"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """The page, whatever is asked for."""
        body = PAGE.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Host and port of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
