"""One tenant's reconciliation: its stream, its consumers, its plan, in that order.

The plan is written last, so that no worker learns of a lane before it is there. A stream of another
owner is never touched, and nothing is written that is there already.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from sinal_core.nats.errors import BusRefused, NameTaken, StorageExhausted, SubjectsTaken
from sinal_core.nats.jetstream import ConsumerInfo, StreamInfo
from sinal_crds import names
from sinal_crds.departures import Departure, encode
from sinal_crds.plan import TenantPlan
from sinal_operator.provision import desired, drift
from sinal_operator.provision.jetstream import FencedJetStream
from sinal_operator.provision.plan_bucket import PlanBucket
from sinal_operator.provision.report import Result, Retired, TenantReport


def _verdict(error: BusRefused) -> tuple[Result, str]:
    """Whether a refusal needs a person, and what to tell them."""
    if isinstance(error, StorageExhausted):
        return "blocked", (
            f"{error}: the broker reserves max_bytes of every stream, and the sum is over its "
            "limit; "
            "raise JetStream's max_file_store or lower the tenants' limits"
        )
    if isinstance(error, NameTaken | SubjectsTaken):
        return "blocked", f"{error}: remove or rename what has the same subjects or name"
    return "failed", str(error)


class Tenant:
    """The work on one tenant; used once."""

    def __init__(
        self,
        plan: TenantPlan,
        *,
        jetstream: FencedJetStream,
        vault: PlanBucket,
        replicas: int,
        ack_wait_s: float,
    ) -> None:
        self._plan = plan
        self._jetstream = jetstream
        self._vault = vault
        self._stream = names.stream(plan.slug)
        self._replicas = replicas
        self._ack_wait_s = ack_wait_s
        self._changes: list[str] = []
        self._reasons: list[str] = []
        self._blocked = False
        self._created = False

    async def reconcile(
        self, info: StreamInfo | None, *, deep: bool, abandoned: Collection[str]
    ) -> TenantReport:
        """Bring the tenant to its plan.

        `info` is its stream, `deep` looks at consumers even if their number is right.

        `abandoned` are removed destinations whose waiting messages may be thrown away.
        """
        owner = info.metadata.get(desired.OWNER) if info is not None else self._plan.uid
        if owner not in (self._plan.uid, *desired.legacies(self._plan)) and not self._made_again(
            owner
        ):
            return self._foreign(owner)
        try:
            await self._reconcile_stream(info)
            consumers = await self._reconcile_consumers(info, deep=deep, abandoned=abandoned)
        except BusRefused as error:
            result, reason = _verdict(error)
            return self._report(result, info, reason=reason)
        written, digest = await self._vault.put(self._plan)
        if written:
            self._changes.append("plan written")
        return self._report(self._result(), info, consumers=consumers, digest=digest)

    def _made_again(self, owner: str | None) -> bool:
        """Whether the owner was a Tenant of this namespace and name, gone without the operator: its
        plan tells.
        """
        held = self._vault.holder(self._plan.slug)
        home = (self._plan.namespace, self._plan.name)
        return held is not None and held.uid == owner and (held.namespace, held.name) == home

    def _result(self) -> Result:
        if self._blocked:
            return "blocked"
        if self._created:
            return "created"
        return "updated" if self._changes else "unchanged"

    def _foreign(self, owner: str | None) -> TenantReport:
        whose = f"belongs to the owner {owner!r}" if owner else "has no owner in its metadata"
        before = (owner or "").removeprefix(desired.retained(self._plan.namespace, ""))
        way = (
            f"This Tenant takes its place with the annotation sinal.dev/heir-of: {before}"
            if owner and before != owner
            else f"Remove it, or set its metadata {desired.OWNER} to {self._plan.uid!r} to hand it "
            "over"
        )
        self._reasons.append(
            f"stream {self._stream} {whose}, not to {self._plan.uid!r}; it was left alone. {way}"
        )
        return self._report("foreign", None)

    def _report(
        self,
        result: Result,
        info: StreamInfo | None,
        *,
        reason: str = "",
        consumers: tuple[str, ...] = (),
        digest: str = "",
    ) -> TenantReport:
        return TenantReport(
            slug=self._plan.slug,
            result=result,
            changes=tuple(f"{self._plan.slug}: {change}" for change in self._changes),
            reasons=(*self._reasons, reason) if reason else tuple(self._reasons),
            stream=self._stream,
            messages=info.state.messages if info is not None else 0,
            consumers=consumers,
            plan_hash=digest,
        )

    async def _reconcile_stream(self, info: StreamInfo | None) -> None:
        wanted = desired.stream(self._plan, replicas=self._replicas)
        if info is None:
            await self._jetstream.create_stream(wanted)
            self._created = True
            self._changes.append("stream created")
            return
        differs = drift.changed(wanted, info.config)
        for name in sorted(drift.STREAM_FIXED.intersection(differs)):
            self._blocked = True
            self._reasons.append(
                f"stream {self._stream} has {name} {info.config.get(name)!r} and needs "
                f"{wanted[name]!r}, which can't "
                "be changed in place: let its queue run empty and delete the stream; it is created "
                "again within seconds"
            )
            # The rest is brought to what is declared all the same.
            wanted[name] = info.config.get(name)
        differs = drift.changed(wanted, info.config)
        # the hash alone differs where a fixed field does: writing it would promise what is not so
        if [name for name in differs if name != "metadata"] or (differs and not self._blocked):
            await self._jetstream.update_stream(drift.merged(wanted, info.config))
            self._changes.append(f"stream updated: {', '.join(differs)}")

    async def _reconcile_consumers(
        self, info: StreamInfo | None, *, deep: bool, abandoned: Collection[str]
    ) -> tuple[str, ...]:
        wanted = desired.consumers(self._plan, ack_wait_s=self._ack_wait_s)
        if info is not None and not deep and info.state.consumer_count == len(wanted):
            return tuple(wanted)
        actual = await self._jetstream.consumers(self._stream) if info is not None else {}
        for name in sorted(actual.keys() - wanted.keys()):
            await self._remove_consumer(actual[name], abandoned)
        for name, config in wanted.items():
            await self._apply_consumer(name, config, actual.get(name))
        return tuple(wanted)

    async def _apply_consumer(
        self, name: str, wanted: desired.Config, actual: ConsumerInfo | None
    ) -> None:
        if actual is None:
            await self._jetstream.apply_consumer(self._stream, wanted)
            self._changes.append(f"consumer {name} created")
            return
        differs = drift.changed(wanted, actual.config)
        if not differs:
            return
        if drift.CONSUMER_FIXED.intersection(differs):
            # loses nothing on a work queue: what was not acked is delivered again
            await self._jetstream.delete_consumer(self._stream, name)
            await self._jetstream.apply_consumer(self._stream, wanted)
        else:
            await self._jetstream.apply_consumer(self._stream, drift.merged(wanted, actual.config))
        self._changes.append(f"consumer {name} updated: {', '.join(differs)}")

    async def _remove_consumer(self, consumer: ConsumerInfo, abandoned: Collection[str]) -> None:
        """Remove the consumer of a destination that is no more, unless messages wait for it."""
        if not consumer.name.startswith(names.DISPATCH_PREFIX):
            self._reasons.append(
                f"consumer {consumer.name} of stream {self._stream} is not ours; it was left alone"
            )
            return
        destination = consumer.name.removeprefix(names.DISPATCH_PREFIX)
        waiting = consumer.num_pending + consumer.num_ack_pending
        if waiting and destination not in abandoned:
            self._reasons.append(
                f"{waiting} messages wait for the removed destination {destination!r}; its "
                "consumer stays until they "
                "expire, unless the destination comes back or they are given up"
            )
            return
        if waiting:
            # A work queue keeps messages that no consumer takes: they would count against its
            # limit.
            await self._jetstream.purge(
                self._stream, names.out_subject(self._plan.slug, destination)
            )
        await self._jetstream.delete_consumer(self._stream, consumer.name)
        self._changes.append(f"consumer {consumer.name} removed")


async def _depart(retired: Retired, jetstream: FencedJetStream) -> None:
    """Tell the runtime to remove the data of a tenant."""
    departure = Departure(
        slug=retired.slug,
        uid=retired.uid,
        namespace=retired.namespace,
        name=retired.name,
        at=round(time.time() * 1000),
    )
    await jetstream.store(f"$KV.{names.DEPARTURES_BUCKET}.{departure.key}", encode(departure))


async def retire(
    retired: Retired, info: StreamInfo | None, *, jetstream: FencedJetStream, vault: PlanBucket
) -> TenantReport:
    """Take a tenant's plan away and, where its policy says Delete, its stream and data.

    What another owns stays.

    Plan and stream are judged each by its own owner: who waits for the slug may have neither yet. A
    stream that is retained waits for a tenant of the same namespace and name, which will have
    another UID.
    """
    stream = names.stream(retired.slug)
    heir = desired.retained(retired.namespace, retired.name) if retired.name else retired.uid
    owner = info.metadata.get(desired.OWNER) if info is not None else retired.uid
    owned = owner in (retired.uid, heir)
    planned = vault.holder(retired.slug)
    others = planned is not None and planned.uid != retired.uid
    changes, reasons = [], []
    if (
        retired.deletion_policy == "Delete"
        and not others
        and (planned is not None or (owned and info is not None))
    ):
        # before the plan goes: who sees a later plan of the slug can see this
        await _depart(retired, jetstream)
    if others:
        reasons.append(f"the plan {retired.slug} is of the Tenant {planned}; it was left alone")
    elif (owned or planned is not None) and await vault.remove(retired.slug):
        changes.append(f"{retired.slug}: plan removed")
    if not owned:
        reasons.append(
            f"stream {stream} belongs to the owner {owner!r}, not to {retired.uid!r}; it was left "
            "alone"
        )
    elif info is not None and retired.deletion_policy == "Delete" and not others:
        await jetstream.delete_stream(stream)
        changes.append(f"{retired.slug}: stream deleted")
    elif info is not None and owner != heir:
        await jetstream.update_stream(
            drift.merged({"metadata": {desired.OWNER: heir}}, info.config)
        )
        changes.append(f"{retired.slug}: stream retained")
    messages = info.state.messages if info is not None else 0
    return TenantReport(
        slug=retired.slug,
        result="removed" if changes or not reasons else "foreign",
        changes=tuple(changes),
        reasons=tuple(reasons),
        stream=stream,
        messages=messages,
    )
