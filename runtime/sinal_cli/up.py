"""`sinal up`: the whole platform until Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from sinal_cli.embedded.process import ServiceError, free_port
from sinal_cli.instance import FolderInUse, write_private
from sinal_cli.offline import complain
from sinal_cli.roles.process import run_loop, stop_event
from sinal_cli.stack import Stack
from sinal_crds.loading import InvalidManifests
from sinal_runtime.logs import configure
from sinal_runtime.server import ListenError

DEFAULT_PORT = 8080
STOP_S = 9.0  # a supervisor that waits ten seconds sees an orderly end

EXPECTED = (ServiceError, FolderInUse, InvalidManifests, ListenError)


def run_up(*, files: Sequence[Path], data: Path, port: int | None, ready_file: Path | None) -> int:
    """Run until SIGTERM or Ctrl-C; 1 with a message when it cannot start."""
    missing = [path for path in files if not path.exists()]
    if missing:
        complain(f"{missing[0]}: no such file or folder")
        return 2
    configure(level="warning", json=False)
    try:
        run_loop(_up(files=files, data=data, port=port, ready_file=ready_file))
    except EXPECTED as error:
        complain(str(error))
        return 1
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    return 0


def ready_of(data: Path) -> Path:
    """Where a running stack tells of itself inside its data folder; gone when it stops."""
    return data / "ready.json"


async def _up(*, files: Sequence[Path], data: Path, port: int | None, ready_file: Path | None) -> None:
    stop = stop_event()
    stack = Stack(files=files, data=data, ports=choose_ports(port))
    starting = asyncio.create_task(stack.start())
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if starting.done():
            starting.result()
            ready = msgspec.json.format(msgspec.json.encode(stack.ready), indent=2)
            for path in filter(None, (ready_file, ready_of(data))):
                write_private(path, ready)
            _print_ready(stack, port)
            await waiting
    finally:
        waiting.cancel()
        starting.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        if stack.ready:
            ready_of(data).unlink(missing_ok=True)
        async with asyncio.timeout(STOP_S):
            await stack.stop()


def choose_ports(port: int | None) -> tuple[int, int, int]:
    """Ports of ingest, API and sandbox: the given one and the next two, else 8080 ff., else any free ones."""
    first = DEFAULT_PORT if port is None else port
    if port is not None or all(_free(first + step) for step in range(3)):
        return first, first + 1, first + 2
    return free_port(), free_port(), free_port()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _print_ready(stack: Stack, port: int | None) -> None:
    out = Console(highlight=False, soft_wrap=True)
    ready = stack.ready
    if port is None and f":{DEFAULT_PORT}" not in ready["ingest"]:
        out.print(f"Port {DEFAULT_PORT} or one of the next two is taken, so these are free ones; --port chooses.")
    out.print("[bold]Sinal is up.[/] Ctrl-C stops everything; the data stays in", str(stack.folder))
    out.print(f"  ingest    {ready['ingest']}")
    out.print(f"  API       {ready['api']}/docs")
    out.print(f"  sandbox   {ready['sandbox']}/_sandbox/events")
    out.print(f"  API key   {ready['admin_key']}")
    for slug, tenant in ready["tenants"].items():
        out.print(f"\n[bold]{slug}[/]")
        for name, keys in tenant["funnels"].items():
            out.print(f"  funnel {name}: public key {keys['public_key']}, server key {keys['server_key']}")
        for name, hook in tenant["webhooks"].items():
            out.print(f"  webhook {name}: {hook['url']}")
    if not ready["tenants"]:
        out.print("\nNo tenant is declared: start with --file examples, or with manifests of your own.")
    for line in first_curl(ready):
        out.print(line)


def first_curl(ready: dict[str, Any]) -> list[str]:
    """A click to try, and how to see what became of it."""
    for slug, tenant in ready["tenants"].items():
        for keys in tenant["funnels"].values():
            body = (
                f'{{"funnel": "{keys["public_key"]}", "url": "https://loja.example/?fbclid=abc", '
                '"client": {"ip": "177.10.20.30", "user_agent": "curl"}}'
            )
            return [
                "\nTry a visit:",
                f"  curl -s {ready['ingest']}/t/{slug}/api/v1/track/pageview \\",
                f"    -H 'Authorization: Bearer {keys['server_key']}' \\",
                f"    -d '{body}'",
                "See what became of it:",
                f"  curl -s '{ready['api']}/api/v1/events?limit=1' -H 'Authorization: Bearer {ready['admin_key']}'",
            ]
    return []
