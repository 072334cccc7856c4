"""The operator of a laptop: as over files anywhere, and it tells its terminal and its statuses what
it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from sinal_cli.declared import Declared
from sinal_cli.departures import Departures, News
from sinal_cli.local import changes
from sinal_cli.local.bulletin import Say
from sinal_cli.local.statuses import Statuses
from sinal_cli.provisioning import FileProvisioning
from sinal_crds.hosts import ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import InvalidManifests
from sinal_crds.plan import TenantPlan
from sinal_operator.cluster.status_feed import StatusFeed
from sinal_operator.cluster.status_throttle import StatusThrottle

FIGURES_S = 1.0  # between two changes of one object's figures


class LocalProvisioning(FileProvisioning):
    """Provisioning with an audience."""

    def __init__(
        self,
        nats_url: str,
        keyring: Keyring,
        *,
        files: Sequence[Path],
        made: Path,
        ack_wait_s: float,
        departures: Departures,
        reserved: ReservedHosts,
        statuses: Statuses,
        say: Say,
        webhook_url: Callable[[str, str], str],
        on_change: Callable[[], None],
    ) -> None:
        """`webhook_url` is of a tenant's slug and an integration's name.

        `on_change` hears of plans that are others.
        """
        super().__init__(
            nats_url,
            keyring,
            files=[*files, made],
            made=made,
            ack_wait_s=ack_wait_s,
            departures=departures,
            reserved=reserved,
        )
        self._statuses, self._say, self._webhook_url, self._on_change = (
            statuses,
            say,
            webhook_url,
            on_change,
        )
        self._board: StatusFeed | None = None
        self._applied: Declared | None = None  # what the broker has; None before it has anything
        self._troubled = Declared()
        self._active: dict[str, TenantPlan] = {}
        self._reasons: dict[str, tuple[str, ...]] = {}

    async def stop(self) -> None:
        """Stop watching; what is provisioned stays."""
        await super().stop()
        self._statuses.remove()

    def companions(self, client: Client) -> Sequence[Any]:
        """Listen to what the runtime says of tenants."""
        self._board = StatusFeed(lambda: client, StatusThrottle(FIGURES_S))
        return (self._board.run(self._retell),)

    def note_refused(self, error: InvalidManifests) -> None:
        """Say each mistake."""
        self._statuses.refused = tuple(map(str, error.errors))
        self._say(
            "refused", "\n".join((*self._statuses.refused, "What was declared before goes on."))
        )
        self._retell()

    def note_read(self) -> None:
        """Say that mistakes are mended, and what does not fit together."""
        if self._statuses.refused:
            self._statuses.refused = ()
            self._say("mended", "the manifests can be read again")
        for verb, what in changes.troubles(self._troubled, self.declared):
            self._say(verb, what)
        self._troubled = self.declared

    def note_departures(self, news: News) -> None:
        """Say who leaves, and how to keep or hasten it."""
        for slug in news.leaving:
            self._say(
                "leaving",
                f"Tenant {slug}: its manifest is gone; in {self._departures.grace_s:.0f} s its "
                "webhooks end.\n"
                "Put it back to keep it; a start with --grace 0 ends it at once.",
            )
        for slug in news.stayed:
            self._say(
                "stayed", f"Tenant {slug}: its manifest is back, and nothing has happened to it"
            )
        for slug in news.ended:
            self._say(
                "ended", f"Tenant {slug}: its webhooks answer 404 from now on; its history is kept"
            )

    def note_waiting(self, why: str) -> None:
        """Say it once."""
        self._say("waiting", f"changes of manifests are applied when NATS is back ({why})")

    def note_provisioned(self) -> None:
        """Say what was applied since the last time."""
        self._active = {
            plan.slug: plan for plan in self.declared.compilation.plans if self._is_ready(plan.slug)
        }
        if self._applied is not None:
            for verb, what in changes.between(self._applied, self.declared):
                self._say(verb, what + (self._url_of(what) if verb == "added" else ""))
            self._on_change()
        self._applied = self.declared
        self._retell()

    def note_reports(self) -> None:
        """Say what can't be brought to its plan."""
        for slug, report in self.reports.items():
            reasons = () if report.ready or report.result == "removed" else report.reasons
            if reasons and reasons != self._reasons.get(slug, ()):
                self._say("problem", "\n".join((f"Tenant {slug} is not as declared", *reasons)))
            elif not reasons and self._reasons.get(slug):
                self._say("mended", f"Tenant {slug} is as declared")
            self._reasons[slug] = reasons
        self._retell()

    def _is_ready(self, slug: str) -> bool:
        report = self.reports.get(slug)
        return report is not None and report.ready

    def _url_of(self, what: str) -> str:
        """The webhook URL of an integration that was added, on a line of its own."""
        for plan in self.declared.compilation.plans:
            for one in plan.integrations:
                if what == changes.title(("GatewayIntegration", plan.namespace, one.name)):
                    return "\n" + self._webhook_url(plan.slug, one.name)
        return ""

    def _retell(self) -> None:
        if self._board is not None:
            self._board.release()
        self._statuses.show(
            self.declared,
            reports=self.reports,
            active=self._active,
            told=self._board.told if self._board is not None else None,
            leaving=self._departures.leaving,
        )
