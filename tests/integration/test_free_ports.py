"""Ports for servers that are still to start: never the same for two processes."""

from __future__ import annotations

import socket
import subprocess
import sys

from sinal_cli.embedded import process
from sinal_cli.embedded.process import free_port

OTHERS = """
from sinal_cli.embedded import process
in_order = iter(range({first}, {first} + 1_000))
process.secrets.choice = lambda _: next(in_order)
print(process.free_port())
"""


def test_what_one_process_was_given_no_other_is_until_a_server_has_it() -> None:
    port = free_port(in_a_row=3)
    other = [sys.executable, "-c", OTHERS.format(first=port)]
    given = subprocess.run(other, capture_output=True, text=True, check=True)
    assert int(given.stdout) >= port + 3
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass


def test_a_process_is_never_given_a_port_twice() -> None:
    ports = [free_port() for _ in range(2 * process._MOST_HELD)]
    assert len(set(ports)) == len(ports)
    assert len(process._held) <= process._MOST_HELD
