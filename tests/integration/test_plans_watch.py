"""Plans reach the runtime from a real bucket, and never get fewer because the broker is away or has
lost its data.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from sinal_core.nats import Bus
from sinal_core.plans import Plans, Snapshot
from sinal_core.plans.cache import PlanCache
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_crds.sealing import seal
from sinal_operator.provision import Provisioner, Retired

from tests.support.eventually import eventually
from tests.support.fix_plans import make_plan
from tests.support.nats_process import NatsProcess


@pytest.fixture
def provisioner(client: Client, keyring: Keyring) -> Provisioner:
    return Provisioner(client, keyring)


@pytest.fixture
async def plans(bus: Bus, keyring: Keyring) -> AsyncIterator[Plans]:
    """Plans, not started."""
    made = Plans(bus, keyring)
    yield made
    await made.stop()


async def test_all_plans_are_there_when_start_returns_with_their_secrets(
    plans: Plans, provisioner: Provisioner
) -> None:
    many = [make_plan(f"loja-{n}", "pixel") for n in range(30)]
    await provisioner.reconcile(many)
    await plans.start(timeout_s=60)
    assert dict(plans.snapshot.tenants) == {plan.slug: plan for plan in many}
    destination = plans.snapshot.tenants["loja-3"].destination("pixel")
    assert destination is not None
    assert destination.access_token == "token-of-pixel"


async def test_start_waits_for_a_bucket_that_is_not_there_yet(
    plans: Plans, provisioner: Provisioner, client: Client
) -> None:
    asked = await client.subscribe(names.PROVISION_SUBJECT)
    await client.flush()
    starting = asyncio.create_task(plans.start(timeout_s=60))
    await asked.next_msg(timeout=60)
    assert not starting.done()
    await provisioner.reconcile([make_plan("loja")])
    await starting
    await eventually(lambda: "loja" in plans.snapshot.tenants)


async def test_an_empty_bucket_is_no_tenants(plans: Plans, provisioner: Provisioner) -> None:
    await provisioner.reconcile([])
    await plans.start(timeout_s=60)
    assert dict(plans.snapshot.tenants) == {}


async def test_changes_and_removals_arrive_and_subscribers_are_told(
    plans: Plans, provisioner: Provisioner
) -> None:
    await provisioner.reconcile([make_plan("one"), make_plan("two")])
    await plans.start(timeout_s=60)
    before = plans.snapshot
    told: list[Snapshot] = []

    def broken(snapshot: Snapshot) -> None:
        raise ValueError("a bug of another room")

    plans.subscribe(broken)
    forget = plans.subscribe(told.append)
    assert told == [before]
    changed = make_plan("two", "pixel", suspended=True)
    await provisioner.reconcile([make_plan("one"), changed])
    await eventually(lambda: plans.snapshot.tenants["two"] == changed)
    await provisioner.reconcile([changed], [Retired.of(make_plan("one"))])
    await eventually(lambda: set(plans.snapshot.tenants) == {"two"})
    assert told[-1] is plans.snapshot
    assert set(before.tenants) == {"one", "two"}  # a snapshot in use does not change
    forget()
    count = len(told)
    await provisioner.reconcile([changed, make_plan("three")])
    await eventually(lambda: "three" in plans.snapshot.tenants)
    assert len(told) == count


async def test_a_plan_that_cannot_be_read_is_refused_and_the_last_good_one_stays(
    plans: Plans,
    provisioner: Provisioner,
    client: Client,
    keyring: Keyring,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = make_plan("loja", "pixel")
    await provisioner.reconcile([good, make_plan("other")])
    await plans.start(timeout_s=60)
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    newer = msgspec.structs.replace(make_plan("loja", "changed"), version=99)
    for raw in (b"garbage", seal(newer, keyring), seal(make_plan("loja", "x"), Keyring.generate())):
        await bucket.put("loja", raw)
    await bucket.put("other", seal(good, keyring))  # somebody's plan under another's name
    await bucket.put("third", seal(make_plan("third"), keyring))
    await eventually(lambda: "third" in plans.snapshot.tenants)
    assert plans.snapshot.tenants["loja"] == good
    assert plans.snapshot.tenants["other"] == make_plan("other")
    out = capsys.readouterr().out
    assert "plans.refused" in out
    assert "token-of-pixel" not in out


@pytest.mark.parametrize("how", ["restart", "wipe"])
async def test_plans_outlive_the_broker_and_follow_it_again(
    plans: Plans, provisioner: Provisioner, nats_server: NatsProcess, client: Client, how: str
) -> None:
    tenants = [make_plan("one"), make_plan("two")]
    await provisioner.reconcile(tenants)
    await plans.start(timeout_s=60)
    fewest = 2

    def told(snapshot: Snapshot) -> None:
        nonlocal fewest
        fewest = min(fewest, len(snapshot.tenants))

    plans.subscribe(told)
    await asyncio.to_thread(nats_server.restart if how == "restart" else nats_server.wipe)
    await eventually(lambda: client.is_connected)
    await asyncio.sleep(1)
    assert set(plans.snapshot.tenants) == {"one", "two"}
    await provisioner.reconcile([])  # the bucket is there again, after a wipe without plans
    await asyncio.sleep(1)
    changed = make_plan("one", "pixel")
    await provisioner.reconcile([changed])
    await eventually(lambda: plans.snapshot.tenants["one"] == changed)
    assert fewest == 2
    await provisioner.reconcile([changed], [Retired.of(make_plan("two"))])
    await eventually(lambda: set(plans.snapshot.tenants) == {"one"})


async def test_a_bucket_that_is_deleted_and_made_again_is_followed(
    plans: Plans, provisioner: Provisioner, client: Client
) -> None:
    await provisioner.reconcile([make_plan("one")])
    await plans.start(timeout_s=60)
    await client.jetstream().delete_key_value(names.PLANS_BUCKET)
    await asyncio.sleep(0.3)
    changed = make_plan("one", "pixel")
    await provisioner.reconcile([changed])
    await eventually(lambda: plans.snapshot.tenants["one"] == changed)


async def test_an_edge_that_starts_while_the_broker_is_away_has_the_plans_it_last_read(
    bus: Bus, keyring: Keyring, provisioner: Provisioner, tmp_path: Path
) -> None:
    cache = PlanCache(tmp_path / "plans.json")
    plan = make_plan("loja", "pixel")
    await provisioner.reconcile([plan])
    first = Plans(bus, keyring, cache=cache)
    await first.start(timeout_s=60)
    await eventually(lambda: cache.exists)
    await first.stop()
    assert b"token-of-pixel" not in (tmp_path / "plans.json").read_bytes()

    away = await Bus.connect("nats://127.0.0.1:9", name="away", wait_s=0.1)
    later = Plans(away, keyring, cache=cache)
    try:
        await later.start()
        assert dict(later.snapshot.tenants) == {"loja": plan}
        assert not later.loaded
    finally:
        await later.stop()
        await away.close()


async def test_a_tenant_that_went_while_the_edge_was_down_is_forgotten_once_the_broker_answers(
    bus: Bus, keyring: Keyring, provisioner: Provisioner, tmp_path: Path
) -> None:
    cache = PlanCache(tmp_path / "plans.json")
    gone = make_plan("foi-se")
    await provisioner.reconcile([gone, make_plan("fica")])
    first = Plans(bus, keyring, cache=cache)
    await first.start(timeout_s=60)
    await eventually(lambda: cache.exists)
    await first.stop()
    await provisioner.reconcile([make_plan("fica")], [Retired.of(gone)])

    again = Plans(bus, keyring, cache=cache)
    await again.start()
    await eventually(lambda: set(again.snapshot.tenants) == {"fica"})
    await again.stop()


async def test_a_cache_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "plans.json").write_bytes(b'{"version": 1, "pla')
    assert PlanCache(tmp_path / "plans.json").read().plans == {}
