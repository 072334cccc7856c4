"""The provisioner brings a real broker to the plans, repairs what drifts, and writes nothing
without need.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import msgspec
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import KeyNotFoundError, NotFoundError

from sinal_core.nats.errors import BusUnavailable
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.plan import Limits
from sinal_crds.sealing import sealed_key_id, unseal
from sinal_operator.metrics import NATS_SECONDS
from sinal_operator.provision import Provisioner, Retired

from tests.support.fix_plans import make_plan
from tests.support.nats_process import NatsProcess

SMALL = Limits(max_bytes=1 << 20)  # JetStream reserves every stream's max_bytes
READS = ("STREAM.LIST", "CONSUMER.LIST", "STREAM.INFO", "CONSUMER.INFO", "STREAM.NAMES")


class Calls:
    """Calls of JetStream's API and writes to buckets that went over the wire."""

    def __init__(self) -> None:
        self.all: list[str] = []

    @property
    def writes(self) -> list[str]:
        """Those that change something."""
        return [call for call in self.all if not call.startswith(READS)]


@pytest.fixture
async def provisioner(client: Client, keyring: Keyring) -> Provisioner:
    return Provisioner(client, keyring)


@contextlib.asynccontextmanager
async def counted(client: Client) -> AsyncIterator[Calls]:
    """Count what anyone asks of JetStream during the block."""
    calls = Calls()

    async def seen(message: object) -> None:
        calls.all.append(message.subject.removeprefix("$JS.API."))  # type: ignore[attr-defined]

    subscriptions = [await client.subscribe(subject, cb=seen) for subject in ("$JS.API.>", "$KV.>")]
    await client.flush()
    yield calls
    await client.flush()
    for subscription in subscriptions:
        await subscription.drain()  # type: ignore[no-untyped-call]


async def test_a_new_tenant_gets_its_queue_its_consumers_and_its_plan(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    plan = make_plan("loja", "pixel", "backup", limits=Limits(max_bytes=5 << 20, max_age_s=3_600))
    report = await provisioner.reconcile([plan])
    assert report.tenants["loja"].result == "created"
    assert report.tenants["loja"].ready
    js = client.jetstream()
    config = (await js.stream_info("T-loja")).config
    assert config.subjects == ["t.loja.>"]
    assert str(config.retention) == "workqueue"
    assert str(config.storage) == "file"
    assert str(config.discard) == "new"
    assert (config.max_bytes, config.max_age) == (5 << 20, 3_600)
    assert config.duplicate_window == 120
    assert config.max_consumers is not None
    assert config.max_consumers > 0
    assert config.metadata is not None
    assert config.metadata["sinal.dev/owner"] == "uid-loja"
    assert config.metadata["sinal.dev/namespace"] == "lojas"
    filters = {}
    for info in await js.consumers_info("T-loja"):
        filters[info.name] = info.config.filter_subject
        assert info.config.mem_storage is True
        assert info.config.ack_wait == 60
        assert info.config.max_deliver == -1
        assert info.config.ack_policy == AckPolicy.EXPLICIT
        assert info.config.deliver_policy == DeliverPolicy.ALL
        assert info.config.max_ack_pending == 10_000
    assert filters == {
        "match": "t.loja.in.>",
        "dispatch-pixel": "t.loja.out.pixel",
        "dispatch-backup": "t.loja.out.backup",
    }
    stored = (await (await js.key_value(names.PLANS_BUCKET)).get("loja")).value
    assert stored is not None
    assert b"token-of-pixel" not in stored
    assert unseal(stored, keyring) == plan
    assert await js.key_value(names.STATUS_BUCKET)


async def test_an_unchanged_platform_costs_a_few_reads_and_no_write(
    client: Client, provisioner: Provisioner
) -> None:
    plans = [make_plan(f"loja-{n}", "pixel", "backup", limits=SMALL) for n in range(300)]
    first = await provisioner.reconcile(plans)
    assert len(first.slugs("created")) == 300
    await provisioner.reconcile(plans)
    async with counted(client) as calls:
        report = await provisioner.reconcile(plans, deep=False)
    assert len(report.slugs("unchanged")) == 300
    assert calls.writes == []
    assert len(calls.all) <= 3  # two pages of streams, whatever the number of consumers
    async with counted(client) as calls:
        report = await provisioner.reconcile(plans)
    assert len(report.slugs("unchanged")) == 300
    assert calls.writes == []


async def test_requests_to_the_broker_are_timed_by_what_they_ask_and_get(
    client: Client, provisioner: Provisioner
) -> None:
    """A tenant's name is in no label; what is not there yet is not a refusal."""
    before = timed()
    await provisioner.reconcile([make_plan("loja", "pixel", limits=SMALL)])
    grown = {labels: count - before.get(labels, 0) for labels, count in timed().items()}
    done = {operation for (operation, result), count in grown.items() if count and result == "ok"}
    assert done >= {"consumer create", "stream create", "store"}
    assert not any(
        count for (_, result), count in grown.items() if result in ("refused", "unanswered")
    )
    greedy = make_plan("gierig", "pixel", limits=Limits(max_bytes=1 << 60))
    assert (await provisioner.reconcile([greedy])).slugs("created") == ()
    assert timed()["stream create", "refused"] > before.get(("stream create", "refused"), 0)


def timed() -> dict[tuple[str, str], float]:
    """Requests so far, by operation and result."""
    samples = (sample for family in NATS_SECONDS.collect() for sample in family.samples)
    return {
        (sample.labels["operation"], sample.labels["result"]): sample.value
        for sample in samples
        if sample.name.endswith("_count")
    }


async def test_another_provisioner_finds_nothing_to_do(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    plans = [make_plan("one", "pixel"), make_plan("two")]
    await provisioner.reconcile(plans)
    successor = Provisioner(client, keyring)
    report = await successor.reconcile(plans)
    assert report.slugs("unchanged") == ("one", "two")
    async with counted(client) as calls:
        assert (await successor.reconcile(plans)).changes == ()
    assert calls.writes == []


async def test_a_changed_plan_changes_what_it_says_and_nothing_else(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    other = make_plan("other", "pixel")
    await provisioner.reconcile([make_plan("loja", "pixel"), other])
    changed = make_plan("loja", "pixel", "second", limits=Limits(max_bytes=1 << 20))
    report = await provisioner.reconcile([changed, other])
    assert (report.slugs("updated"), report.slugs("unchanged")) == (("loja",), ("other",))
    assert sorted(report.tenants["loja"].changes) == [
        "loja: consumer dispatch-second created",
        "loja: plan written",
        "loja: stream updated: max_bytes, metadata",
    ]
    token = msgspec.structs.replace(
        changed,
        destinations=tuple(
            msgspec.structs.replace(d, access_token="new") for d in changed.destinations
        ),
    )
    report = await provisioner.reconcile([token, other])
    assert report.changes == ("loja: plan written",)
    stored = (await (await client.jetstream().key_value(names.PLANS_BUCKET)).get("loja")).value
    assert stored is not None
    assert unseal(stored, keyring) == token


async def test_drift_is_repaired(client: Client, provisioner: Provisioner) -> None:
    plan = make_plan("loja", "pixel")
    await provisioner.reconcile([plan])
    js = client.jetstream()
    config = (await js.stream_info("T-loja")).config
    config.subjects, config.max_bytes, config.max_msgs = ["t.loja.in.>"], 999, 5
    await js.delete_consumer("T-loja", "dispatch-pixel")
    await js.update_stream(config)
    consumer = (await js.consumer_info("T-loja", "match")).config
    consumer.max_ack_pending, consumer.ack_wait = 1, 1
    await js.add_consumer("T-loja", consumer)
    report = await provisioner.reconcile([plan])
    assert sorted(report.tenants["loja"].changes) == [
        "loja: consumer dispatch-pixel created",
        "loja: consumer match updated: ack_wait, max_ack_pending",
        "loja: stream updated: subjects, max_bytes, max_msgs",
    ]
    after = (await js.stream_info("T-loja")).config
    assert (after.subjects, after.max_bytes, after.max_msgs) == (
        ["t.loja.>"],
        plan.limits.max_bytes,
        -1,
    )
    assert (await js.consumer_info("T-loja", "match")).config.max_ack_pending == 10_000
    assert (await provisioner.reconcile([plan])).changes == ()


async def test_a_consumer_made_otherwise_is_made_again_without_loss(
    client: Client, provisioner: Provisioner
) -> None:
    plan = make_plan("loja")
    await provisioner.reconcile([plan])
    js = client.jetstream()
    await js.publish("t.loja.in.click", b"waiting")
    await js.delete_consumer("T-loja", "match")
    await js.add_consumer(
        "T-loja",
        ConsumerConfig(
            durable_name="match", filter_subject="t.loja.in.>", ack_policy=AckPolicy.EXPLICIT
        ),
    )
    report = await provisioner.reconcile([plan])
    assert "mem_storage" in report.changes[0]
    info = await js.consumer_info("T-loja", "match")
    assert info.config.mem_storage is True
    assert info.num_pending == 1


async def test_what_a_person_added_is_no_drift(client: Client, provisioner: Provisioner) -> None:
    plan = make_plan("loja")
    await provisioner.reconcile([plan])
    js = client.jetstream()
    config = (await js.stream_info("T-loja")).config
    config.description = "the shop of Ana"
    config.metadata = (config.metadata or {}) | {"team": "growth"}
    await js.update_stream(config)
    assert (await provisioner.reconcile([plan])).changes == ()
    bigger = make_plan("loja", limits=Limits(max_bytes=7 << 20))
    await provisioner.reconcile([bigger])
    after = (await js.stream_info("T-loja")).config
    assert (after.description, (after.metadata or {})["team"]) == ("the shop of Ana", "growth")


@pytest.mark.parametrize("metadata", [{"sinal.dev/owner": "somebody-else"}, None])
async def test_a_stream_of_another_owner_is_never_touched(
    client: Client, provisioner: Provisioner, metadata: dict[str, str] | None
) -> None:
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="T-loja", subjects=["mine"], metadata=metadata))
    await js.publish("mine", b"keep")
    before = await js.stream_info("T-loja")
    await provisioner.reconcile([])
    async with counted(client) as calls:
        report = await provisioner.reconcile([make_plan("loja", "pixel")])
    assert calls.writes == []
    found = report.tenants["loja"]
    assert found.result == "foreign"
    assert "uid-loja" in found.reasons[0]
    assert not found.ready
    report = await provisioner.reconcile(
        [], [Retired(slug="loja", uid="uid-loja", deletion_policy="Delete")]
    )
    assert report.tenants["loja"].result == "foreign"
    after = await js.stream_info("T-loja")
    assert after.config == before.config
    assert after.state.messages == 1


async def test_what_cannot_be_changed_in_place_is_said_with_the_way_out(
    client: Client, provisioner: Provisioner
) -> None:
    js = client.jetstream()
    await js.add_stream(
        StreamConfig(
            name="T-loja",
            subjects=["t.loja.>"],
            retention=RetentionPolicy.LIMITS,
            metadata={"sinal.dev/owner": "uid-loja"},
        )
    )
    plans = [make_plan("loja"), make_plan("fine")]
    report = await provisioner.reconcile(plans)
    assert (report.slugs("blocked"), report.slugs("created")) == (("loja",), ("fine",))
    (reason,) = report.tenants["loja"].reasons
    assert "retention 'limits'" in reason
    assert "delete the stream" in reason
    report = await provisioner.reconcile(plans)
    assert (report.slugs("blocked"), report.changes) == (("loja",), ())
    await js.delete_stream("T-loja")
    assert (await provisioner.reconcile(plans)).slugs("created") == ("loja",)


async def test_subjects_that_another_stream_has_block_one_tenant_only(
    client: Client, provisioner: Provisioner
) -> None:
    await client.jetstream().add_stream(StreamConfig(name="greedy", subjects=["t.loja.>"]))
    report = await provisioner.reconcile([make_plan("loja"), make_plan("fine")])
    assert (report.slugs("blocked"), report.slugs("created")) == (("loja",), ("fine",))
    assert "overlap" in report.tenants["loja"].reasons[0]


async def test_the_consumer_of_a_removed_destination_goes_when_it_is_empty(
    client: Client, provisioner: Provisioner
) -> None:
    await provisioner.reconcile([make_plan("loja", "old", "busy", "pixel")])
    js = client.jetstream()
    await js.publish("t.loja.out.busy", b"1")
    await js.publish("t.loja.out.pixel", b"2")
    plan = make_plan("loja", "pixel")
    report = await provisioner.reconcile([plan])
    assert "loja: consumer dispatch-old removed" in report.changes
    assert "1 messages wait for the removed destination 'busy'" in report.tenants["loja"].reasons[0]
    assert {info.name for info in await js.consumers_info("T-loja")} == {
        "match",
        "dispatch-busy",
        "dispatch-pixel",
    }
    report = await provisioner.reconcile([plan], abandon={"loja": {"busy"}})
    assert report.changes == ("loja: consumer dispatch-busy removed",)
    assert (await js.stream_info("T-loja")).state.messages == 1  # the other destination's


async def test_a_suspended_tenant_keeps_its_queue(client: Client, provisioner: Provisioner) -> None:
    await provisioner.reconcile([make_plan("loja", "pixel")])
    await client.jetstream().publish("t.loja.in.sale", b"1")
    report = await provisioner.reconcile([make_plan("loja", "pixel", suspended=True)])
    assert report.changes == ("loja: plan written",)
    assert (await client.jetstream().stream_info("T-loja")).state.messages == 1


async def test_a_retired_tenant_loses_its_plan_and_its_queue_only_where_it_says_so(
    client: Client, provisioner: Provisioner
) -> None:
    plans = [make_plan("kept"), make_plan("dropped", deletion_policy="Delete")]
    await provisioner.reconcile(plans)
    retired = [Retired.of(plan) for plan in plans]
    report = await provisioner.reconcile([], retired)
    assert report.slugs("removed") == ("dropped", "kept")
    js = client.jetstream()
    assert await js.stream_info("T-kept")
    with pytest.raises(NotFoundError):
        await js.stream_info("T-dropped")
    bucket = await js.key_value(names.PLANS_BUCKET)
    for slug in ("kept", "dropped"):
        with pytest.raises(KeyNotFoundError):
            await bucket.get(slug)
    async with counted(client) as calls:
        await provisioner.reconcile([], retired)
    assert calls.writes == []
    # it comes back with its queue
    assert (await provisioner.reconcile(plans)).tenants["kept"].result == "updated"


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_one_that_never_had_the_slug_takes_nothing_of_who_has_it_along(
    client: Client, provisioner: Provisioner, policy: Literal["Retain", "Delete"]
) -> None:
    plan = make_plan("loja")
    for _ in range(2):  # the bucket that the first makes is read by the second
        await provisioner.reconcile([plan])
    other = Retired(
        slug="loja", uid="uid-other", deletion_policy=policy, namespace="b", name="loja"
    )
    async with counted(client) as calls:
        report = await provisioner.reconcile([], [other])
    assert report.tenants["loja"].result == "foreign"
    assert calls.writes == []
    assert (await provisioner.reconcile([plan])).tenants["loja"].result == "unchanged"


async def test_a_plan_goes_though_its_queue_belongs_to_somebody_else_by_now(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    plan = make_plan("loja", deletion_policy="Delete")
    await provisioner.reconcile([plan])
    js = client.jetstream()
    config = (await js.stream_info("T-loja")).config
    config.metadata = {**(config.metadata or {}), "sinal.dev/owner": "uid-other"}
    await js.update_stream(config)
    report = await Provisioner(client, keyring).reconcile([], [Retired.of(plan)])
    assert report.tenants["loja"].changes == ("loja: plan removed",)
    after = (await js.stream_info("T-loja")).config
    assert after.metadata == config.metadata
    with pytest.raises(KeyNotFoundError):
        await (await js.key_value(names.PLANS_BUCKET)).get("loja")


async def test_a_tenant_that_is_neither_planned_nor_retired_stays(
    client: Client, provisioner: Provisioner
) -> None:
    await provisioner.reconcile([make_plan("loja")])
    assert (await provisioner.reconcile([])).tenants == {}
    js = client.jetstream()
    assert await js.stream_info("T-loja")
    assert await (await js.key_value(names.PLANS_BUCKET)).get("loja")


async def test_a_rotated_key_seals_plans_again(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    plan = make_plan("loja", "pixel")
    await provisioner.reconcile([plan])
    rotated = keyring.rotate()
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    # whoever is reconciled: a paused tenant's plan as well
    await Provisioner(client, rotated).reconcile([])
    stored = await bucket.get("loja")
    assert stored.value is not None
    assert sealed_key_id(stored.value) == rotated.primary
    assert unseal(stored.value, rotated) == plan
    assert (await Provisioner(client, rotated).reconcile([plan])).changes == ()
    assert (await bucket.get("loja")).revision == stored.revision


async def test_a_plan_that_somebody_overwrote_or_removed_is_written_again(
    client: Client, provisioner: Provisioner, keyring: Keyring
) -> None:
    plan = make_plan("loja")
    await provisioner.reconcile([plan])
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    for vandalise in (bucket.put("loja", b"{}"), bucket.delete("loja"), bucket.purge("loja")):
        await vandalise
        assert (await provisioner.reconcile([plan])).changes == ("loja: plan written",)
        stored = (await bucket.get("loja")).value
        assert stored is not None
        assert unseal(stored, keyring) == plan


async def test_a_broker_without_room_for_all_queues_is_said_with_the_way_out(
    client: Client, provisioner: Provisioner
) -> None:
    plans = [make_plan("huge", limits=Limits(max_bytes=1 << 60)), make_plan("fine", limits=SMALL)]
    report = await provisioner.reconcile(plans)
    assert (report.slugs("blocked"), report.slugs("created")) == (("huge",), ("fine",))
    assert "max_file_store" in report.tenants["huge"].reasons[0]


async def test_without_a_broker_it_says_so(
    client: Client, provisioner: Provisioner, nats_server: NatsProcess
) -> None:
    await provisioner.reconcile([make_plan("loja")])
    nats_server.kill()
    with pytest.raises(BusUnavailable):
        await provisioner.reconcile([make_plan("loja")])
