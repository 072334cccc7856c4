"""Manifests in files take the place of the cluster: load, compile, provision, and again when a file changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nats
import structlog

from sinal_crds.compile import Compilation, compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import InvalidManifests, Objects, load
from sinal_crds.models import Manifest, Tenant
from sinal_crds.plan import TenantPlan
from sinal_operator.metrics import show_objects
from sinal_operator.provision import Provisioner, Report, Retired, TenantReport

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S = 1.0
DRIFT_INTERVAL_S = 5.0


class FileProvisioning:
    """The operator's reconciliation over files."""

    def __init__(self, nats_url: str, keyring: Keyring, *, files: Sequence[Path], ack_wait_s: float) -> None:
        self._nats_url, self._keyring, self._files, self._ack_wait_s = nats_url, keyring, files, ack_wait_s
        self._stack = contextlib.AsyncExitStack()
        self._seen: object = None
        self._retired: dict[str, Retired] = {}  # tenants that a file took away while we ran
        self._objects = Objects()
        self._reports: dict[str, TenantReport] = {}  # the last of each tenant
        self.compilation = Compilation(plans=(), problems=(), minted={})

    @property
    def minted(self) -> Mapping[str, Any]:
        """Keys and webhook tokens of each tenant."""
        return self.compilation.minted

    async def start(self) -> None:
        """Provision what the files say; raises InvalidManifests."""
        self._read()
        client = await nats.connect(self._nats_url, name="sinal-operator", max_reconnect_attempts=-1)
        self._stack.push_async_callback(client.close)
        self._provisioner = Provisioner(client, self._keyring, ack_wait_s=self._ack_wait_s)
        self._show(await self._provisioner.reconcile(self.plans()))
        keeping = self._provisioner.run(
            self.plans, interval_s=DRIFT_INTERVAL_S, retired=self.retired, on_report=self._show
        )
        for work in (keeping, self._watch()):
            task = asyncio.create_task(work)
            self._stack.push_async_callback(_cancelled, task)

    async def stop(self) -> None:
        """Stop watching; what is provisioned stays."""
        await self._stack.aclose()

    def plans(self) -> tuple[TenantPlan, ...]:
        """The plans that the files compile to."""
        return self.compilation.plans

    def retired(self) -> tuple[Retired, ...]:
        """Tenants that were in the files and are no more."""
        return tuple(self._retired.values())

    def _read(self) -> None:
        self._seen = self._fingerprint()
        loaded = load(self._files)
        loaded.raise_for_errors()
        self._objects = loaded.objects
        before = {plan.slug: plan for plan in self.plans()}
        self.compilation = compile(loaded.objects, loaded.secrets, self._keyring)
        now = {plan.slug for plan in self.plans()}
        self._retired |= {slug: Retired.of(plan) for slug, plan in before.items()}
        self._retired = {slug: gone for slug, gone in self._retired.items() if slug not in now}
        for problem in self.compilation.problems:
            log.warning("manifest.problem", problem=str(problem))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            if self._fingerprint() == self._seen:
                continue
            try:
                self._read()
            except InvalidManifests as error:
                log.error("manifests.refused", errors=str(error).splitlines())
                continue
            self._show(await self._provisioner.reconcile(self.plans(), self.retired()))
            log.info("manifests.applied", tenants=len(self.plans()))

    def _show(self, report: Report) -> None:
        """An object is ready when nothing was wrong with it, a tenant when its events can flow as well."""
        self._reports.update(report.tenants)
        wrong = {(p.kind, p.namespace, p.name) for p in self.compilation.problems}

        def ready(found: Manifest) -> bool:
            if isinstance(found, Tenant) and (one := self._reports.get(found.slug)) is not None and not one.ready:
                return False
            return (found.kind, found.namespace, found.name) not in wrong

        objects = self._objects
        show_objects(
            (found.kind, ready(found))
            for found in (*objects.tenants, *objects.destinations, *objects.funnels, *objects.integrations)
        )

    def _fingerprint(self) -> object:
        found = []
        for path in self._files:
            for file in sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]:
                with contextlib.suppress(OSError):
                    stat = file.stat()
                    found.append((str(file), stat.st_mtime_ns, stat.st_size))
        return tuple(found)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
