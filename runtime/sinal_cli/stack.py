"""A whole platform on one machine: embedded services, sandbox, operator over files and every role in this process.

Order matters: services before their users, lanes before ingest; and the reverse on the way down, so that what was
accepted is finished or waits on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sinal_cli import roles
from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.postgres import Postgres
from sinal_cli.embedded.process import Service, port_open
from sinal_cli.embedded.redis import Redis
from sinal_cli.instance import Instance, InstanceSecrets, write_private
from sinal_cli.provisioning import FileProvisioning
from sinal_crds.keyring import Keyring
from sinal_runtime.settings import Settings


class Stack:
    """Everything, started and stopped as one."""

    def __init__(self, *, files: Sequence[Path], data: Path, ports: tuple[int, int, int]) -> None:
        self._files = files
        self._instance = Instance(data)
        self._ports = ports
        self._exit = contextlib.AsyncExitStack()
        self.ready: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._instance.folder

    async def start(self) -> None:
        """Start all; on an error what had started is stopped again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all, users first."""
        await self._exit.aclose()

    async def _start(self) -> None:
        secrets = self._instance.open()
        self._exit.callback(self._instance.close)
        postgres, nats, redis, sandbox = self._services(secrets)
        await self._start_services(postgres, nats, redis, sandbox)
        await self._prepare_database(postgres, secrets)
        keyring = self._keyring()
        settings = self._settings(postgres, nats, redis, secrets)
        made = self._instance.folder / "manifests"  # what is declared through the API
        made.mkdir(exist_ok=True)
        provisioning = FileProvisioning(
            nats.url, keyring, files=[*self._files, made], ack_wait_s=settings.lane_ack_wait_s
        )
        await provisioning.start()
        self._exit.push_async_callback(provisioning.stop)
        ingest = roles.Ingest(settings, keyring)
        api = roles.Api(settings.model_copy(update={"port": self._ports[1]}), keyring)
        workers = [make(settings, keyring) for make in (roles.Match, roles.Dispatch, roles.Housekeeping)]
        for role in (*workers, api, ingest):
            self._exit.push_async_callback(role.stop)
            await role.start()
        self.ready = self._describe(ingest.url, api.url, secrets, provisioning)

    def _services(self, secrets: InstanceSecrets) -> tuple[Postgres, Nats, Redis, Service]:
        folder, log = self._instance.folder, self._instance.log
        options = ("--host", "127.0.0.1", "--port", str(self._ports[2]), "--data", str(folder / "sandbox.jsonl"))
        command = [sys.executable, "-m", "sinal_runtime.sandbox", *options]
        sandbox = Service("the Meta sandbox", command, log=log("sandbox"))
        return (
            Postgres(folder / "postgres", password=secrets.postgres, log=log("postgres")),
            Nats(folder / "nats", password=secrets.nats, log=log("nats")),
            Redis(folder / "redis", password=secrets.redis, log=log("redis")),
            sandbox,
        )

    async def _start_services(self, postgres: Postgres, nats: Nats, redis: Redis, sandbox: Service) -> None:
        async def stop() -> None:
            await asyncio.gather(postgres.stop(), nats.stop(), redis.stop(), sandbox.stop())

        self._exit.push_async_callback(stop)
        sandbox.spawn()
        await asyncio.gather(
            postgres.start(), nats.start(), redis.start(), sandbox.ready(lambda: port_open(self._ports[2]))
        )

    async def _prepare_database(self, postgres: Postgres, secrets: InstanceSecrets) -> None:
        from sinal_runtime.store.migrate import migrate

        await migrate(postgres.url())
        await postgres.create_login("sinal_worker", secrets.worker)

    def _keyring(self) -> Keyring:
        path = self._instance.keyring_file
        if not path.exists():
            write_private(path, Keyring.generate().to_json())
        return Keyring.from_json(path.read_bytes())

    def _settings(self, postgres: Postgres, nats: Nats, redis: Redis, secrets: InstanceSecrets) -> Settings:
        return Settings.model_validate(
            {
                "nats_url": nats.url,
                "database_url": postgres.url(user="sinal_worker", password=secrets.worker),
                "maintenance_database_url": postgres.url(),
                "redis_url": redis.url,
                "manifest_folder": self._instance.folder / "manifests",
                "keyring_file": self._instance.keyring_file,
                "spool_dir": self._instance.folder / "spool",
                "graph_url": f"http://127.0.0.1:{self._ports[2]}",
                "port": self._ports[0],
                "admin_key": secrets.admin_key,
            }
        )

    def _describe(
        self, ingest: str, api: str, secrets: InstanceSecrets, provisioning: FileProvisioning
    ) -> dict[str, Any]:
        tenants = {}
        for slug, minted in provisioning.minted.items():
            webhooks = {
                name: {
                    "gateway": hook["gateway"],
                    "url": f"{ingest}/t/{slug}/api/v1/webhooks/{hook['gateway']}/{hook['token']}",
                }
                for name, hook in minted["webhooks"].items()
            }
            tenants[slug] = {"funnels": minted["funnels"], "webhooks": webhooks}
        return {
            "ingest": ingest,
            "api": api,
            "sandbox": f"http://127.0.0.1:{self._ports[2]}",
            "admin_key": secrets.admin_key,
            "pid": os.getpid(),
            "files": [str(file.resolve()) for file in self._files],
            "tenants": tenants,
        }
