"""Manifests in files take the place of the cluster: load, compile, provision, and again when a file
changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from nats.aio.client import Client

from sinal_cli.declared import Declared, fingerprint, keeping, read
from sinal_cli.departures import Departures, News
from sinal_core.nats.errors import BusUnavailable
from sinal_crds import trust
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import InvalidManifests
from sinal_crds.models import Manifest, Tenant
from sinal_crds.plan import TenantPlan
from sinal_operator.metrics import show_objects
from sinal_operator.provision import (
    Connection,
    Provisioner,
    Report,
    Retired,
    TenantReport,
)

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S = 1.0
DRIFT_INTERVAL_S = 5.0


class FileProvisioning:
    """The operator's reconciliation over files.

    Who has more to tell than a log overrides the methods that note.
    """

    def __init__(
        self,
        nats_url: str,
        keyring: Keyring,
        *,
        files: Sequence[Path],
        ack_wait_s: float,
        made: Path | None = None,
        departures: Departures | None = None,
        authority: ssl.SSLContext | None = None,
        reserved: ReservedHosts = NOTHING_RESERVED,
    ) -> None:
        """`made` is the folder where the operations API keeps manifests.

        What `files` say elsewhere wins over it.
        """
        self._nats_url, self._keyring, self._files, self._ack_wait_s = (
            nats_url,
            keyring,
            files,
            ack_wait_s,
        )
        self._made = made
        self._authority = authority
        self._departures = departures or Departures()
        self._reserved = reserved
        self._stack = contextlib.AsyncExitStack()
        self._seen: object = None
        self._said = Declared()  # by the files alone, without tenants that are leaving
        self._waiting = False  # for the broker, with something to bring it to
        self.declared = Declared()
        self.reports: dict[str, TenantReport] = {}  # the last of each tenant

    @property
    def minted(self) -> Mapping[str, Any]:
        """Keys and webhook tokens of each tenant."""
        return self.declared.compilation.minted

    async def start(self) -> None:
        """Provision what the files say; raises InvalidManifests."""
        self._read()
        client = Connection()
        await client.connect(
            self._nats_url,
            name="sinal-operator",
            max_reconnect_attempts=-1,
            error_cb=_connection_failed,
            tls=self._authority,
        )
        self._stack.push_async_callback(client.close)
        self._provisioner = Provisioner(client, self._keyring, ack_wait_s=self._ack_wait_s)
        self._reported(await self._provisioner.reconcile(self.plans(), self.retired()))
        self.note_provisioned()
        keeping = self._provisioner.run(
            self.plans, interval_s=DRIFT_INTERVAL_S, retired=self.retired, on_report=self._reported
        )
        for work in (keeping, self._watch(), *self.companions(client)):
            task = asyncio.create_task(work)
            self._stack.push_async_callback(_cancelled, task)

    async def stop(self) -> None:
        """Stop watching; what is provisioned stays."""
        await self._stack.aclose()

    def plans(self) -> tuple[TenantPlan, ...]:
        """The plans that the files compile to, and those of tenants whose time is not over."""
        return self.declared.compilation.plans

    def retired(self) -> tuple[Retired, ...]:
        """Tenants that were in the files and are no more."""
        return self._departures.retired()

    def companions(self, client: Client) -> Sequence[Any]:
        """Work beside, until the stop: coroutines."""
        return ()

    def note_departures(self, news: News) -> None:
        """Tenants have left, or are about to."""
        log.info("tenants.departing", leaving=news.leaving, stayed=news.stayed, ended=news.ended)

    def note_refused(self, error: InvalidManifests) -> None:
        """Files can't be used as they are; what ran before goes on."""
        log.error("manifests.refused", errors=str(error).splitlines())

    def note_read(self) -> None:
        """`declared` is another."""
        for problem in (*self.declared.duplicates, *self.declared.compilation.problems):
            log.warning("manifest.problem", problem=str(problem))

    def note_waiting(self, why: str) -> None:
        """The broker is away, so changes wait."""
        log.warning("manifests.waiting", why=why)

    def note_provisioned(self) -> None:
        """The broker has what is declared."""
        log.info("manifests.applied", tenants=len(self.plans()))

    def note_reports(self) -> None:
        """`reports` may be others."""

    def _read(self) -> None:
        # Of before the reading: a file that is saved meanwhile is read again.
        self._seen = fingerprint(self._files)
        self._said = read(self._files, self._keyring, made=self._made, reserved=self._reserved)
        news = self._departures.look(self._said.compilation.plans)
        self._settle()
        if any(news):
            self.note_departures(news)
        self.note_read()

    def _settle(self) -> None:
        leaving = {one.key for one in self._departures.leaving}
        self.declared = keeping(
            self._said, self.declared, leaving, self._keyring, reserved=self._reserved
        )

    def _ended(self) -> bool:
        """Let those go whose time is over; whether there are any."""
        news = self._departures.due()
        if news.ended:
            self._settle()
            self.note_departures(news)
        return bool(news.ended)

    async def _watch(self) -> None:
        due = False
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            due |= self._look() | self._ended()
            if due:
                due = not await self._provision()

    def _look(self) -> bool:
        """Read the files if they are others; whether there is something to bring the broker to."""
        if fingerprint(self._files) == self._seen:
            return False
        try:
            self._read()
        except InvalidManifests as error:
            self.note_refused(error)
            return False
        return True

    async def _provision(self) -> bool:
        try:
            report = await self._provisioner.reconcile(self.plans(), self.retired())
        except BusUnavailable as error:
            if not self._waiting:
                self._waiting = True
                self.note_waiting(str(error))
            return False
        self._waiting = False
        self._reported(report)
        self.note_provisioned()
        return True

    def _reported(self, report: Report) -> None:
        self.reports.update(report.tenants)
        self._show()
        self.note_reports()

    def _show(self) -> None:
        """An object is ready when nothing was wrong with it, a tenant when its events can flow as
        well.
        """
        wrong = self.declared.problems

        def ready(found: Manifest) -> bool:
            if (
                isinstance(found, Tenant)
                and (one := self.reports.get(found.slug)) is not None
                and not one.ready
            ):
                return False
            return (found.kind, found.namespace, found.name) not in wrong

        show_objects((found.kind, ready(found)) for found in self.declared.objects)


async def _connection_failed(error: Exception) -> None:
    # the provisioner says that it waits
    log.debug("provisioning.connection", error=trust.words(error))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
