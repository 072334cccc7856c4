"""Tenants that want one slug, in any order of coming and going: what is deleted stops, whoever
waits for its slug.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client as Nats

from sinal_core.nats.jetstream import ConsumerInfo, StreamInfo, StreamState
from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.secrets import Secrets
from sinal_operator.cluster.desired_state import holdings
from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.object_cache import ObjectCache
from sinal_operator.provision import TenantReport
from sinal_operator.provision.desired import Config
from sinal_operator.provision.jetstream import FencedJetStream
from sinal_operator.provision.plan_bucket import PlanBucket
from sinal_operator.provision.tenant import Tenant, retire

KEYRING = Keyring.generate()
NAMES = ("a", "b", "c")


class Broker(FencedJetStream):
    """JetStream's management as far as one tenant needs it, in memory; it outlives the operator."""

    def __init__(self) -> None:
        super().__init__(Nats())
        self.configs: dict[str, Config] = {}

    def info(self, name: str) -> StreamInfo | None:
        config = self.configs.get(name)
        return (
            StreamInfo(config=config, state=StreamState(consumer_count=1))
            if config is not None
            else None
        )

    async def create_stream(self, config: Config) -> None:
        self.configs[config["name"]] = config

    async def update_stream(self, config: Config) -> None:
        self.configs[config["name"]] = config

    async def delete_stream(self, name: str) -> None:
        del self.configs[name]

    async def consumers(self, stream: str) -> dict[str, ConsumerInfo]:
        return {}

    async def apply_consumer(self, stream: str, config: Config) -> None:
        pass

    async def store(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        pass


@dataclass
class Cluster:
    """An API server's Tenants, all of one slug, and an operator that can be restarted."""

    object_cache: ObjectCache = field(default_factory=ObjectCache)
    broker: Broker = field(default_factory=Broker)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        self.vault = PlanBucket(Nats(), self.broker, KEYRING)
        self.departures = Finalization(self.object_cache)

    def create(self, name: str, policy: str) -> None:
        if name in self.bodies:
            return
        self.version += 1
        self.bodies[name] = {
            "apiVersion": "sinal.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{name}-{self.version}",
                "creationTimestamp": "2026-11-22T12:00:00Z",  # all in one second
                "finalizers": ["sinal.dev/finalizer"],
            },
            "spec": {"slug": "shop", "deletionPolicy": policy},
        }
        self._show(name)

    def delete(self, name: str) -> None:
        if name in self.bodies:
            self.bodies[name]["metadata"]["deletionTimestamp"] = "2026-11-22T13:00:00Z"
            self._show(name)

    def restart(self) -> None:
        """A new operator knows what it lists and what NATS has."""
        self.object_cache = ObjectCache()
        self.departures = Finalization(self.object_cache)
        for name in self.bodies:
            self._show(name)

    async def round(self) -> None:
        """As the reconciler does one: who leaves first, and then who stays.

        Then the API server forgets who may go.
        """
        held = holdings(self.vault.holders())
        retired = self.departures.retired()
        compiled = compile(self.object_cache.objects(), Secrets({}), KEYRING, held=held)
        before = self.planned
        leaving = {one.slug for one in retired}
        reports: dict[str, TenantReport] = {}
        for one in retired:
            reports[one.slug] = await retire(
                one, self.broker.info(f"T-{one.slug}"), jetstream=self.broker, vault=self.vault
            )
        self.departures.reported(retired, reports)
        for plan in compiled.plans:
            if plan.slug not in leaving:
                work = Tenant(
                    plan, jetstream=self.broker, vault=self.vault, replicas=1, ack_wait_s=60
                )
                await work.reconcile(self.broker.info(f"T-{plan.slug}"), deep=False, abandoned=())
        if before in {seen.uid for seen in self.object_cache if not seen.deleting}:
            assert self.planned == before, "somebody took what worked"
        for seen in list(self.object_cache):
            if seen.deleting and await self.departures.outcome(seen.uid, 0) is not None:
                assert (self.planned or "") != seen.uid, "it was let go while its plan was in force"
                self.version += 1
                gone = self.bodies.pop(seen.key[2])
                self.object_cache.remove(
                    {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
                )

    @property
    def planned(self) -> str | None:
        """Whose plan the runtime has."""
        holder = self.vault.holder("shop")
        return holder.uid if holder is not None else None

    @property
    def owner(self) -> str | None:
        """Whose the queue is."""
        info = self.broker.info("T-shop")
        return info.metadata["sinal.dev/owner"] if info is not None else None

    def uid(self, name: str) -> str:
        return str(self.bodies[name]["metadata"]["uid"])

    def _show(self, name: str) -> None:
        self.version += 1
        self.bodies[name]["metadata"]["resourceVersion"] = str(self.version)
        self.object_cache.put(msgspec.json.decode(msgspec.json.encode(self.bodies[name])))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(NAMES), st.sampled_from(["Retain", "Delete"])),
        st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
        st.tuples(st.sampled_from(["restart", "round"]), st.just(""), st.just("")),
    ),
    max_size=25,
)


async def played(found: list[tuple[str, str, str]]) -> Cluster:
    cluster = Cluster()
    for step, name, policy in found:
        if step == "create":
            cluster.create(name, policy)
        elif step == "delete":
            cluster.delete(name)
        elif step == "restart":
            cluster.restart()
        else:
            await cluster.round()
    for _ in range(2 * len(NAMES)):  # one that leaves a round, and one that comes
        await cluster.round()
    return cluster


@given(steps)
async def test_a_plan_is_always_of_a_tenant_that_is_there(
    found: list[tuple[str, str, str]],
) -> None:
    cluster = await played(found)
    assert not any("deletionTimestamp" in body["metadata"] for body in cluster.bodies.values())
    assert cluster.planned in {None, *map(cluster.uid, cluster.bodies)}
    assert (
        cluster.owner is None
        or cluster.owner.startswith("retained:")
        or cluster.owner == cluster.planned
    )


@given(steps)
async def test_with_delete_alone_who_waits_comes_to_its_turn(
    found: list[tuple[str, str, str]],
) -> None:
    cluster = await played(
        [(step, name, "Delete" if policy else "") for step, name, policy in found]
    )
    assert (cluster.planned is None) is not bool(cluster.bodies)


async def test_a_rename_takes_the_old_plan_away_and_its_queue_waits_for_its_name() -> None:
    moves = [
        ("create", "a", "Retain"),
        ("round", "", ""),
        ("create", "b", "Retain"),
        ("round", "", ""),
    ]
    cluster = await played([*moves, ("delete", "a", ""), ("restart", "", "")])
    assert (cluster.planned, cluster.owner) == (None, "retained:default/a")
    assert set(cluster.bodies) == {"b"}
