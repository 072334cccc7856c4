"""The platform that schedules play on: two workers of each kind, a small disk for NATS and one for
the edge's spool.

Waits are shorter than in production by settings that keep their order (request < lease < ack_wait);
nothing else differs. One platform serves many schedules: each has orders of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.postgres import Postgres
from sinal_cli.embedded.process import Service, free_port
from sinal_cli.embedded.redis import Redis

from tests.support.chaos.faults import GRAPH_TIMEOUT_S, LEASE_S
from tests.support.chaos.world import MANIFESTS
from tests.support.platform import Platform

REPLICAS = ("match-2", "dispatch-2")
DISK_BYTES = 64 << 20
SETTINGS = {
    "SINAL_GRAPH_TIMEOUT_S": str(GRAPH_TIMEOUT_S),
    "SINAL_LANE_ACK_WAIT_S": str(LEASE_S),
}


class SmallDisk:
    """A file system of a few megabytes that can be filled.

    None of it without the right to mount.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @staticmethod
    def possible() -> bool:
        """Whether this process may mount."""
        return os.geteuid() == 0 and shutil.which("mount") is not None

    def mount(self) -> None:
        """Make it; raises CalledProcessError where the kernel refuses."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def unmount(self) -> None:
        """Remove it and what is on it."""
        # Lazily: a process that was just killed may still hold a file on it.
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)

    def fill(self) -> None:
        """Take every byte that is left."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give the bytes back."""
        self._filler.unlink(missing_ok=True)


class Stage(Platform):
    """A platform whose parts can be killed, frozen, restarted and robbed of their disks."""

    def __init__(self, folder: Path) -> None:
        # No reserve: a fault fills this disk to its last byte, and the spool is to meet that.
        spool = {"SINAL_SPOOL_DIR": str(folder / "edge" / "spool"), "SINAL_SPOOL_FREE_BYTES": "0"}
        super().__init__(folder, [MANIFESTS], settings={**SETTINGS, **spool})
        self.disk = SmallDisk(folder / "nats") if SmallDisk.possible() else None
        self.spool_disk = SmallDisk(folder / "edge") if SmallDisk.possible() else None
        # It syncs as in production: what a commit takes belongs to what is raced here.
        self.postgres = Postgres(
            folder / "postgres", password="pg", log=folder / "logs" / "postgres.log"
        )
        self.nats = Nats(
            folder / "nats" / "store", password="nats", log=folder / "logs" / "nats.log"
        )
        self.nats.monitor_port = free_port()
        for service in (self.nats, self.postgres, self.redis):
            service.port = free_port()
        self.ports |= {name: free_port() for name in self.ports if name != "sandbox"}

    async def start(self) -> None:
        """Start everything, replicas last."""
        for disk in self._disks():
            disk.mount()
        await super().start()
        for name in REPLICAS:
            self.start_role(name)

    async def stop(self) -> None:
        """Stop everything; frozen processes are woken first."""
        for name in self.roles:
            self.wake(name)
        try:
            await super().stop()
        finally:
            for disk in self._disks():
                disk.unmount()

    def _disks(self) -> list[SmallDisk]:
        return [disk for disk in (self.disk, self.spool_disk) if disk is not None]

    def start_role(self, role: str) -> None:
        """Start a role's process, or a further one of it (`match-2`)."""
        if role not in REPLICAS:
            super().start_role(role)
            return
        kind = role.partition("-")[0]
        env = self._environment(kind) | {"SINAL_PORT": "0", "SINAL_METRICS_PORT": "0"}
        self.roles[role] = self._python(role, "sinal_cli", "run", kind, env=env)
        self.roles[role].spawn()

    def freeze(self, role: str) -> None:
        """SIGSTOP."""
        self._signal(self.roles[role], signal.SIGSTOP)

    def wake(self, role: str) -> None:
        """SIGCONT."""
        self._signal(self.roles[role], signal.SIGCONT)

    def service(self, name: str) -> Nats | Postgres | Redis:
        """The service of that name."""
        found: dict[str, Nats | Postgres | Redis] = {
            "nats": self.nats,
            "postgres": self.postgres,
            "redis": self.redis,
        }
        return found[name]

    async def wipe_nats(self, *, down_s: float) -> None:
        """Kill NATS, lose its store, start it empty."""
        self.nats.kill()
        shutil.rmtree(self.folder / "nats" / "store")
        await asyncio.sleep(down_s)
        await self.nats.start()

    def dead_roles(self) -> list[str]:
        """Roles whose process ended though nobody killed it."""
        return [name for name, service in self.roles.items() if not service.running]

    @staticmethod
    def _signal(service: Service, number: signal.Signals) -> None:
        if service.running:
            os.kill(service.pid, number)
