"""The edge with a spool as a process of its own, so that a test can kill it: prints its URL and
that of its probes.

    python -m tests.support.spool_edge NATS_URL SPOOL_DIR [FILE_SIZE_LIMIT]

With a limit no file of the process can grow beyond it, as on a disk that is full.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from pathlib import Path

import uvloop

from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_core.telemetry import logs
from sinal_crds.keyring import Keyring
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings

from tests.support.fix_ingest import a_tenant
from tests.support.probes import probed


class SpoolEdge:
    """A handle of such a process."""

    def __init__(self, nats_url: str, spool: Path, *, file_limit: int | None = None) -> None:
        command = [sys.executable, "-m", "tests.support.spool_edge", nats_url, str(spool)]
        self._command = [*command, str(file_limit)] if file_limit else command
        self._process: subprocess.Popen[str] | None = None
        self.url = self.probes = ""

    def start(self) -> None:
        """Start and wait until it listens."""
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self._process.stdout is not None
        self.url, _, self.probes = self._process.stdout.readline().strip().partition(" ")
        assert self.url.startswith("http://"), "the edge did not start"

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait; nothing when it has ended."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.communicate(timeout=60)


async def serve(nats_url: str, spool: str) -> None:
    """Run the edge until SIGTERM."""
    bus = await Bus.connect(nats_url, name="spool-edge", wait_s=0.2)
    settings = ServerSettings(port=0, spool_dir=Path(spool), spool_free_bytes=0)
    server = IngestServer(settings, bus, StaticPlans(a_tenant()), keyring=Keyring.generate())
    await server.start()
    async with probed(server) as probes:
        print(server.url, probes, flush=True)
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
    await server.stop()
    await bus.close()


if __name__ == "__main__":
    logs.configure(level="warning")
    if len(sys.argv) > 3:
        # Python ignores SIGXFSZ, so that a write beyond the limit fails with an error, as on a full
        # disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
