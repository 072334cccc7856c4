"""Processes that can be started again and again, and how long each takes until it says that it is
ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from bench.operator import stage
from bench.support import machine
from bench.support.stack import Bench

from sinal_cli.embedded.process import Service, free_port

from tests.cluster.support import adapter
from tests.cluster.support.kubectl import Kubectl

LOOK_S = 0.005  # between two looks
PATIENCE_S = 60.0
# after the process before it has gone: sockets and leases are free, nobody is busy with its leaving
SETTLE_S = 1.0
_BARE = """\
import sys
import {modules}
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    writer.close()
async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""


@dataclass(frozen=True)
class Span:
    """What one start took."""

    seconds: float
    cpu_s: float


@dataclass(frozen=True)
class Start:
    """Something to start: `begin` returns its process id, `end` returns once it has gone."""

    name: str
    url: str
    begin: Callable[[], int]
    end: Callable[[], Awaitable[None]]

    async def once(self) -> Span:
        """End it, start it anew, and say how long it took until it was ready."""
        await self.end()
        await asyncio.sleep(SETTLE_S)
        async with aiohttp.ClientSession() as session:
            began = time.perf_counter()
            pid = self.begin()
            while not await _ready(session, self.url):
                if time.perf_counter() - began > PATIENCE_S:
                    raise TimeoutError(f"{self.name} is not ready after {PATIENCE_S:.0f} s")
                await asyncio.sleep(LOOK_S)
            return Span(time.perf_counter() - began, machine.cpu_s(pid))


async def _ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def bare(modules: str, folder: Path) -> Start:
    """A process that imports these modules, `asyncio` among them, and answers a probe."""
    port = free_port()
    command = [sys.executable, "-c", _BARE.format(modules=modules), str(port)]
    service = Service(modules, command, log=folder / "bare.log", env=dict(os.environ))
    return Start(
        f"bare: {modules}", f"http://127.0.0.1:{port}", lambda: _spawned(service), service.stop
    )


def of_platform(platform: Bench, role: str) -> Start:
    """A role of a running platform."""
    platform.ports.setdefault(role, free_port())

    def begin() -> int:
        platform.start_role(role)
        return platform.roles[role].pid

    async def end() -> None:
        if role in platform.roles:
            await platform.roles[role].stop()

    return Start(role, platform.url(role), begin, end)


@contextlib.asynccontextmanager
async def in_cluster(wanted: Iterable[str]) -> AsyncIterator[list[Start]]:
    """The roles that ask an API server, on a control plane and a NATS of their own."""
    with tempfile.TemporaryDirectory(
        prefix="sinal-bench-", ignore_cleanup_errors=True
    ) as temporary:
        async with stage.running() as found:
            makers = {"operator": _operator, "metrics-adapter": _adapter}
            yield [make(found, Path(temporary)) for role, make in makers.items() if role in wanted]


def _operator(found: stage.Stage, folder: Path) -> Start:
    """It leads: it takes the Lease, sees the cluster and reaches NATS before it is ready."""
    process = found.operator

    def begin() -> int:
        process.start()
        return process.pid

    return Start("operator, in a cluster", process.url, begin, process.stop)


def _adapter(found: stage.Stage, folder: Path) -> Start:
    """It has a certificate, and the API server knows whom to trust, before it is ready."""
    kubectl = Kubectl(found.plane.kubeconfig, stage.NAMESPACE)
    process = adapter.AdapterProcess(
        folder, found.plane, namespace=stage.NAMESPACE, nats_url=found.nats.url
    )
    adapter.prepare(kubectl)
    kubectl.apply(adapter.registration(stage.NAMESPACE, process.port))

    def begin() -> int:
        process.start()
        return process.pid

    async def end() -> None:
        process.kill()

    return Start("metrics-adapter, in a cluster", f"http://{process.address}", begin, end)


def words(*arguments: str) -> Span:
    """`sinal` with these words, until it has ended."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sinal_cli", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"sinal {' '.join(arguments)} ended with {process.returncode}")
    return Span(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


def _spawned(service: Service) -> int:
    service.spawn()
    return service.pid
