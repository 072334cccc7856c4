"""A whole platform on one machine: embedded services, sandbox, operator over files and every role
in this process.

Order matters: services before their users, lanes before ingest; and the reverse on the way down, so
that what was accepted is finished or waits on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sinal_cli.daily import DailyBackup
from sinal_cli.data_folder import Instance, write_private
from sinal_cli.departures import Departures
from sinal_cli.local import at_hand
from sinal_cli.local.bulletin import Say, silent
from sinal_cli.local.provisioning import LocalProvisioning
from sinal_cli.local.services import Services, ServiceWatch
from sinal_cli.local.statuses import Statuses
from sinal_cli.local.urls import Outside
from sinal_cli.roles.api import Api, ApiSettings
from sinal_cli.roles.base import Role
from sinal_cli.roles.dispatch import Dispatch, DispatchSettings
from sinal_cli.roles.housekeeping import Housekeeping, HousekeepingSettings
from sinal_cli.roles.ingest import Ingest, IngestSettings
from sinal_cli.roles.match import Match, MatchSettings
from sinal_cli.roles.process import unless
from sinal_crds.keyring import Keyring
from sinal_crds.plan import TenantPlan

GRACE_S = 60.0
FACTS_S = 5.0  # people look at one tenant here, not at a thousand


class StackSettings(
    IngestSettings, MatchSettings, DispatchSettings, HousekeepingSettings, ApiSettings
):
    """What `sinal up` reads, as far as it does not decide itself."""


class Stack:
    """Everything, started and stopped as one, on an opened data folder."""

    def __init__(
        self,
        instance: Instance,
        *,
        files: Sequence[Path],
        ports: tuple[int, int, int],
        metrics_port: int = 0,
        outside: Outside | None = None,
        say: Say = silent,
        grace_s: float = GRACE_S,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`say` hears what happens while it runs, `on_change` when `ready` has become another.

        Ports are of ingest, API and sandbox; metrics have one of their own, by default any that is
        free.
        """
        self._instance, self._files, self._ports = instance, files, ports
        self._metrics_port, self._metrics_url = metrics_port, ""
        self._outside = outside or Outside()
        self._say, self._grace_s, self._on_change = say, grace_s, on_change
        self._exit = contextlib.AsyncExitStack()
        self._provisioning: LocalProvisioning | None = None
        self.ready: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._instance.folder

    @property
    def plans(self) -> tuple[TenantPlan, ...]:
        """What the manifests come to now."""
        return self._provisioning.plans() if self._provisioning is not None else ()

    async def start(self) -> None:
        """Start all; on an error what had started is stopped again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def start_unless(self, stop: asyncio.Event) -> bool:
        """Start all, and say whether it has: false where it was stopped before."""

        async def started() -> bool:
            await self.start()
            return True

        return await unless(stop, started()) or False

    async def stop(self) -> None:
        """Stop all, users first."""
        await self._exit.aclose()

    async def _start(self) -> None:
        services = Services(
            self._instance, sandbox_port=None if self._outside.graph_url else self._ports[2]
        )
        self._exit.push_async_callback(services.stop)
        await services.start()
        if services.redis.missing is not None:
            self._say("problem", services.redis.missing)
        await self._prepare_database(services)
        watch = ServiceWatch(services.all, self._say)
        self._exit.push_async_callback(watch.stop)
        watch.begin()
        settings, keyring = self._settings(services), self._keyring()
        reached = at_hand.settings_of(services.nats, services.postgres, self._instance.folder)
        await self._provision(settings, keyring)
        ingest = Ingest(settings, keyring)
        api = Api(settings.model_copy(update={"port": self._ports[1]}), keyring)
        workers = [make(settings, keyring) for make in (Match, Dispatch, Housekeeping)]
        # Ingest begins last and, the stack being unwound from its end, stops first: nothing is
        # accepted that nobody takes on.
        for role in (*workers, api, ingest):
            # Before the start: one that fails half way has things to let go.
            self._exit.push_async_callback(role.stop)
            await role.start()
        await self._show(ingest, api)
        at_hand.tell(self._instance.folder, reached)
        self._exit.callback(at_hand.forget, self._instance.folder)
        backup = DailyBackup(self._instance.folder / "backups", reached)
        backup.start()
        self._exit.push_async_callback(backup.stop)
        self.ready = self._describe()

    async def _show(self, ingest: Role, api: Role) -> None:
        """Probes and metrics of all roles, which are one process here, where nobody looks whom a
        tunnel lets in.
        """
        from sinal_core.http import health
        from sinal_core.http.readiness import Readiness
        from sinal_core.http.server import HttpServer

        async def standing() -> Readiness:
            edge, behind = await ingest.standing(), await api.standing()
            return Readiness(edge.ready and behind.ready, {**edge.told, "api": behind.told})

        server = HttpServer(
            health.build(standing, observe=ingest.observe),
            host="127.0.0.1",
            port=self._metrics_port,
        )
        await server.start()
        self._exit.push_async_callback(server.stop)
        self._metrics_url = server.url

    async def _provision(self, settings: StackSettings, keyring: Keyring) -> None:
        """Be the operator, over the files and what is declared through the API."""
        made = self._instance.folder / "manifests"
        made.mkdir(exist_ok=True)
        self._provisioning = LocalProvisioning(
            settings.nats_url,
            keyring,
            files=self._files,
            made=made,
            ack_wait_s=settings.lane_ack_wait_s,
            reserved=settings.reserved,
            departures=Departures(self._grace_s, file=self._instance.folder / "tenants.json"),
            statuses=Statuses(self._instance.folder, ingest_url=self._public_url),
            say=self._say,
            webhook_url=self._webhook_url,
            on_change=self._changed,
        )
        await self._provisioning.start()
        self._exit.push_async_callback(self._provisioning.stop)

    def _changed(self) -> None:
        if self.ready:
            self.ready = self._describe()
            self._on_change()

    async def _prepare_database(self, services: Services) -> None:
        from sinal_hub.store.migrate import migrate

        await migrate(services.postgres.url())
        await services.postgres.create_login("sinal_worker", self._instance.secrets.worker)

    def _keyring(self) -> Keyring:
        path = self._instance.keyring_file
        if not path.exists():
            write_private(path, Keyring.generate().to_json())
        return Keyring.from_json(path.read_bytes())

    def _settings(self, services: Services) -> StackSettings:
        secrets = self._instance.secrets
        return StackSettings.model_validate(
            {
                "nats_url": services.nats.url,
                "database_url": services.postgres.url(user="sinal_worker", password=secrets.worker),
                "maintenance_database_url": services.postgres.url(),
                "redis_url": None if services.redis.missing else services.redis.url,
                "manifest_folder": self._instance.folder / "manifests",
                "keyring_file": self._instance.keyring_file,
                "spool_dir": self._instance.folder / "spool",
                "graph_url": self._outside.graph_url or _local(self._ports[2]),
                "public_url": self._public_url,
                "port": self._ports[0],
                "facts_interval_s": FACTS_S,
                "admin_key": secrets.admin_key,
            }
        )

    @property
    def _public_url(self) -> str:
        return self._outside.public_url or _local(self._ports[0])

    @property
    def _minted(self) -> Mapping[str, Any]:
        return self._provisioning.minted if self._provisioning is not None else {}

    def _webhook_url(self, slug: str, integration: str) -> str:
        hook = self._minted[slug]["webhooks"][integration]
        return f"{self._public_url}/t/{slug}/api/v1/webhooks/{hook['gateway']}/{hook['token']}"

    def _describe(self) -> dict[str, Any]:
        """Addresses, keys and webhook URLs, for programs; `sandbox` only where there is one."""
        tenants = {
            slug: {
                "funnels": keys["funnels"],
                "webhooks": {
                    name: {"gateway": hook["gateway"], "url": self._webhook_url(slug, name)}
                    for name, hook in keys["webhooks"].items()
                },
            }
            for slug, keys in self._minted.items()
        }
        sandbox = {} if self._outside.graph_url else {"sandbox": _local(self._ports[2])}
        return {
            "ingest": _local(self._ports[0]),
            "public": self._public_url,
            "api": _local(self._ports[1]),
            "metrics": self._metrics_url,
            **sandbox,
            "graph": self._outside.graph_url or _local(self._ports[2]),
            "admin_key": self._instance.secrets.admin_key,
            "pid": os.getpid(),
            "files": [str(file.resolve()) for file in self._files],
            "tenants": tenants,
        }


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"
