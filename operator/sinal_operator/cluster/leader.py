"""One of several operators: it stands by until it holds the lease, and works until it is stopped or
has lost it.

The election has the loop of the process, not the operator's own: a long reconciliation must not
cost the lease. Invariant: only the holder sends requests that change something. It asks
`election.holding` before each of them, so that a process that was frozen past its term does nothing
more when it goes on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping

from sinal_crds.keyring import Keyring
from sinal_operator import metrics
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.leader_election import LeaderElection
from sinal_operator.cluster.operator import OperatorOptions, SingleOperator

log = logging.getLogger(__name__)


class LeaderState:
    """A candidate, and the operator that it becomes."""

    def __init__(
        self,
        keyring: Keyring,
        options: OperatorOptions,
        *,
        lease: tuple[str, str],
        on_exit: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        namespace, name = lease
        self._client = ApiServerClient()
        # the pod's name, and which process of it
        identity = f"{socket.gethostname()}_{secrets.token_hex(6)}"
        self._election = LeaderElection(
            self._client, namespace=namespace, name=name, identity=identity
        )
        self._operator = SingleOperator(
            keyring, options, on_exit=on_exit, allowed=lambda: self._election.holding
        )
        self._on_lost = on_lost
        self._leads = False
        self._campaign: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Stand for election.

        `on_lost` is called when the lease was lost: the process must end then, at once.
        """
        metrics.LEADER.set(0)
        self._campaign = asyncio.create_task(self._run(), name="election")

    async def stop(self) -> None:
        """Cease to work, then hand the lease over."""
        if self._leads:
            await self._operator.stop()
        if self._campaign is not None:
            self._campaign.cancel()
            await asyncio.gather(self._campaign, return_exceptions=True)
        await self._election.release()
        metrics.LEADER.set(0)
        await self._client.close()

    def readiness(self) -> Mapping[str, bool]:
        """Of the operator; of a standby, whether it sees the lease: it is ready to take over."""
        return (
            self._operator.readiness()
            if self._leads
            else {"standby": True, "kubernetes": self._election.reachable}
        )

    async def _run(self) -> None:
        try:
            await self._lead()
        except Exception:
            # Nobody renews the lease any more, whatever the reason: the process ends as if it was
            # lost.
            log.exception("the election failed")
        self._on_lost()

    async def _lead(self) -> None:
        await self._election.win()
        log.info("this operator leads")
        self._leads = True
        metrics.LEADER.set(1)
        await self._operator.start()
        await self._election.keep()
        metrics.LEADER.set(0)
        log.error("the lease is lost: another operator may work now, so this one ends")
