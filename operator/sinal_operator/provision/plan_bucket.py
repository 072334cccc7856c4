"""The bucket of sealed plans as the provisioner sees it: what is there, and writes of what differs.

Reading all plans takes a consumer and a message each, so it is done only when the bucket's last
sequence says that someone else has written since. Invariant: a plan whose hash is in the bucket is
never written again.
"""

from __future__ import annotations

import logging

from nats.aio.client import Client

from sinal_core.nats.jetstream import StreamInfo
from sinal_crds import names
from sinal_crds.plan import TenantPlan
from sinal_crds.sealing import Keyring, PlanHolder, holder, needs_sealing, plan_hash, resealed, seal
from sinal_operator.provision import buckets
from sinal_operator.provision.jetstream import FencedJetStream

log = logging.getLogger(__name__)

# A purge as ADR-8 has it: watchers know by the first header that the key has no value any more.
_PURGE = {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}


class PlanBucket:
    """Sealed plans by slug; None marks a plan that was removed."""

    def __init__(self, client: Client, jetstream: FencedJetStream, keyring: Keyring) -> None:
        self._client = client
        self._jetstream = jetstream
        self._keyring = keyring
        self._known: dict[str, bytes | None] = {}
        self._created = ""
        self._looked_through = False  # for what is to be sealed again
        # of the bucket when it was read, and one more for each write of ours since
        self._last_seq = -1
        # plans that are known to be in the bucket
        self._written: dict[str, tuple[TenantPlan, str]] = {}
        self._holders: dict[str, tuple[bytes, PlanHolder | None]] = {}  # read from these very bytes

    async def open(self, info: StreamInfo | None) -> None:
        """Know what is in the bucket; `info` is None for one that was made just now.

        Raises BusUnavailable.
        """
        if self.knows(info):
            return
        # Another bucket, or somebody else's write: what was known to be there may be there no more.
        self._written.clear()
        self._looked_through = False
        stored = info is not None and info.state.messages > 0
        self._known = await buckets.read(self._client, names.PLANS_BUCKET) if stored else {}
        self._created = info.created if info is not None else ""
        self._last_seq = info.state.last_seq if info is not None else 0

    async def seal_again(self) -> None:
        """Seal anew what another key or release has sealed: plans of tenants that nobody reconciles
        now as well.
        """
        if self._looked_through:
            return
        for slug, raw in tuple(self._known.items()):
            fresh = None if raw is None else resealed(raw, self._keyring)
            if fresh is not None:
                await self._store(slug, fresh, None)
                log.info("the plan of %s was sealed again", slug)
        self._looked_through = True

    def knows(self, info: StreamInfo | None) -> bool:
        """Whether the bucket is as it was left."""
        return info is not None and self._is_known(info)

    def _is_known(self, info: StreamInfo) -> bool:
        state = info.state
        return (info.created, state.last_seq, state.messages) == (
            self._created,
            self._last_seq,
            len(self._known),
        )

    def holder(self, slug: str) -> PlanHolder | None:
        """Whose plan is there; None where there is none, or one that this release can't read."""
        raw = self._known.get(slug)
        if raw is None:
            self._holders.pop(slug, None)
            return None
        known = self._holders.get(slug)
        if known is None or known[0] is not raw:
            known = self._holders[slug] = raw, holder(raw)
        return known[1]

    def holders(self) -> tuple[PlanHolder, ...]:
        """Whose plans there are."""
        return tuple(one for slug in sorted(self._known) if (one := self.holder(slug)) is not None)

    async def put(self, plan: TenantPlan) -> tuple[bool, str]:
        """Write the plan if the bucket has another or none.

        Returns whether it was, and the plan's hash.
        """
        known = self._written.get(plan.slug)
        if known is not None and known[0] == plan:
            return False, known[1]
        digest = plan_hash(plan, self._keyring)
        write = needs_sealing(self._known.get(plan.slug), plan, self._keyring)
        if write:
            await self._store(plan.slug, seal(plan, self._keyring), None)
        self._written[plan.slug] = (plan, digest)
        return write, digest

    async def remove(self, slug: str) -> bool:
        """Mark the plan as removed; returns whether that was not so before."""
        if slug in self._known and self._known[slug] is None:
            return False
        self._written.pop(slug, None)
        await self._store(slug, b"", _PURGE)
        self._known[slug] = None
        return True

    async def _store(self, slug: str, body: bytes, headers: dict[str, str] | None) -> None:
        await self._jetstream.store(f"$KV.{names.PLANS_BUCKET}.{slug}", body, headers)
        self._known[slug] = body
        self._last_seq += 1
