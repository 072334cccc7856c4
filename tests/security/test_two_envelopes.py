"""Attack: the edge, the one role that the internet talks to, is taken over, and with it whatever
keys it has.

It has the keys of its own envelope: what proves deliveries. Access tokens are in the other one,
webhook URLs are made of a key that it does not have. And an upgrade from a release that knew one
envelope loses and refuses nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from sinal_cli.install import parts
from sinal_core.nats import Bus
from sinal_core.plans import Plans
from sinal_core.plans.cache import PlanCache
from sinal_crds import names
from sinal_crds.keyring import PARTS, Keyring, NotInThisPart
from sinal_crds.plan import DestinationPlan, IntegrationPlan, Limits, TenantPlan
from sinal_crds.sealing import NotForTheEdge, TamperedPlan, needs_sealing, resealed, seal, unseal
from sinal_hub.quarantine.keeping import SealedQuarantine, join, open_kept
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_operator.provision import Provisioner

from tests.chart.support import previous
from tests.support.eventually import eventually

WHOLE = Keyring.generate()
RUNTIME, EDGE = WHOLE.part_for("runtime"), WHOLE.part_for("edge")
SECRETS = {
    "hotmart": {"hottok": "h0t"},
    "mercadopago": {"webhookSecret": "wh", "accessToken": "APP_USR-token"},
    "pagbank": {"token": "pb", "email": "loja@loja.example"},
    "acmepay": {"whatever": "w"},  # of another package: all its keys may prove
}
FOR_THE_EDGE = {
    "hotmart": {"hottok": "h0t"},
    "mercadopago": {"webhookSecret": "wh"},
    "pagbank": {"token": "pb"},
    "acmepay": {"whatever": "w"},
}
ACCESS = ("EAAB-the-token", "APP_USR-token")


def a_plan(slug: str = "loja") -> TenantPlan:
    return TenantPlan(
        slug=slug,
        namespace="default",
        name=slug,
        uid=f"u-{slug}",
        destinations=(DestinationPlan(name="pixel", pixel_id="11111", access_token=ACCESS[0]),),
        integrations=tuple(
            IntegrationPlan(
                name=name,
                gateway=name,
                funnel="f",
                token_sha256=f"{slug}-{name}",
                credentials=credentials,
            )
            for name, credentials in SECRETS.items()
        ),
    )


def as_before(plan: TenantPlan, keyring: Keyring = WHOLE) -> bytes:
    """The envelope of a release that knew one."""
    envelope = json.loads(seal(plan, keyring))
    del envelope["edge"]
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()


def by_the_release_before(keyring: bytes, raw: bytes) -> TenantPlan:
    """What the code of the version before reads, in a process of its own."""
    program = (
        "import sys, json, base64\n"
        "from sinal_crds import sealing\n"
        "assert '.whl' in sealing.__file__, sealing.__file__\n"
        "import msgspec\n"
        "keyring, raw = (base64.b64decode(line) for line in sys.stdin)\n"
        "sys.stdout.buffer.write(msgspec.json.encode(sealing.unseal(raw, "
        "sealing.Keyring.from_json(keyring))))\n"
    )
    given = "\n".join(map(_base64, (keyring, raw)))
    environment = {**os.environ, "PYTHONPATH": str(previous.wheel())}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, input=given.encode(), env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=TenantPlan)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_edge_gets_what_proves_deliveries_and_no_access_token() -> None:
    raw = seal(a_plan(), WHOLE)
    for keyring in (WHOLE, RUNTIME):
        assert unseal(raw, keyring) == a_plan()
    seen = unseal(raw, EDGE)
    assert {one.name: dict(one.credentials) for one in seen.integrations} == FOR_THE_EDGE
    assert [one.access_token for one in seen.destinations] == [""]
    assert not any(
        token.encode() in raw or token in str(msgspec.json.encode(seen)) for token in ACCESS
    )


def test_no_key_of_the_edge_opens_the_other_envelope() -> None:
    raw = seal(a_plan(), WHOLE)
    for key in EDGE.keys.values():
        pretending = Keyring(b"", {WHOLE.primary: key}, WHOLE.primary, part="runtime")
        with pytest.raises(TamperedPlan):
            unseal(raw, pretending)
    assert not set(EDGE.keys.values()) & set(WHOLE.keys.values())
    file = EDGE.to_json()
    assert not any(_base64(key).encode() in file for key in (*WHOLE.keys.values(), WHOLE.mint_key))


@pytest.mark.parametrize("part", [RUNTIME, EDGE], ids=PARTS)
def test_no_part_mints(part: Keyring) -> None:
    with pytest.raises(NotInThisPart):
        part.mint("webhook-token", "GatewayIntegration", "default", "vendas", "")
    with pytest.raises(NotInThisPart):
        part.part_for("whole")
    changes: list[Callable[[], object]] = [
        part.rotate,
        lambda: part.rotate_mint(now=1),
        part.retire_mint,
    ]
    for change in changes:
        with pytest.raises(NotInThisPart):
            change()
    assert Keyring.from_json(part.to_json()) == part
    assert not part.mint_key


def test_nothing_of_an_envelope_can_be_put_under_another_tenant() -> None:
    mine, other = (json.loads(seal(a_plan(slug), WHOLE)) for slug in ("loja", "outra"))
    for moved in ("edge", "sealed", "plan", "slug", "hash"):
        mixed = json.dumps({**other, moved: mine[moved]}, separators=(",", ":")).encode()
        for keyring in (WHOLE, EDGE):
            if (moved == "sealed" and keyring is EDGE) or (moved == "edge" and keyring is WHOLE):
                continue  # what that reader does not look at
            with pytest.raises(TamperedPlan):
                unseal(mixed, keyring)


def test_one_envelope_is_not_taken_for_the_other() -> None:
    """Keys and purposes differ: the edge's envelope as the whole one, or the reverse, opens
    nothing.
    """
    envelope = json.loads(seal(a_plan(), WHOLE))
    for swapped in ({"sealed": envelope["edge"]}, {"edge": envelope["sealed"]}):
        raw = json.dumps({**envelope, **swapped}, separators=(",", ":")).encode()
        with pytest.raises((TamperedPlan, LookupError)):
            unseal(raw, WHOLE if "sealed" in swapped else EDGE)


@pytest.mark.parametrize("reader", [WHOLE, RUNTIME], ids=["whole", "runtime"])
def test_a_plan_that_the_edge_made_up_is_believed_by_nobody_else(reader: Keyring) -> None:
    """It may write to the bucket, and names its own key as the one that the whole plan is sealed
    under.
    """
    made_up = msgspec.structs.replace(a_plan(), hosts=("rival.example",))
    raw = seal(made_up, Keyring(WHOLE.mint_key, EDGE.keys, EDGE.primary))
    assert json.loads(raw)["sealed"]["kid"] == WHOLE.edge_primary
    with pytest.raises(TamperedPlan):
        unseal(raw, reader)
    assert resealed(raw, WHOLE) is None, "nor does the operator make it right"


def test_the_release_before_reads_what_this_one_seals() -> None:
    """A role of it that is still there, or there again after a rollback, with the keyring's own
    Secret.
    """
    before = by_the_release_before(WHOLE.rotate_mint(now=1).to_json(), seal(a_plan(), WHOLE))
    assert before == a_plan()


def test_what_the_release_before_sealed_is_read_and_sealed_again() -> None:
    raw = as_before(a_plan())
    assert unseal(raw, WHOLE) == unseal(raw, RUNTIME) == a_plan()
    with pytest.raises(NotForTheEdge, match="seals it again"):
        unseal(raw, EDGE)
    assert needs_sealing(raw, a_plan(), WHOLE)
    again = resealed(raw, WHOLE)
    assert again is not None
    assert unseal(again, WHOLE) == a_plan()
    assert unseal(again, EDGE).slug == "loja"
    assert resealed(again, WHOLE) is None
    assert resealed(b"{}", WHOLE) is resealed(raw, Keyring.generate()) is None


@pytest.fixture
async def edge(bus: Bus) -> AsyncIterator[Plans]:
    """What ingest would know of tenants; not started."""
    plans = Plans(bus, EDGE)
    yield plans
    await plans.stop()


async def test_a_new_edge_is_not_ready_before_the_operator_is_new(
    edge: Plans, client: Client
) -> None:
    """Until then the edges of before take everything: they are ended when this one is ready."""
    provisioner = Provisioner(client, WHOLE)
    await provisioner.reconcile([])
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    for slug in ("loja", "outra"):
        await bucket.put(slug, as_before(a_plan(slug)))
    starting = asyncio.create_task(edge.start())
    await eventually(lambda: edge.loaded)
    await bucket.put("outra", seal(a_plan("outra"), WHOLE))
    await eventually(lambda: "outra" in edge.snapshot.tenants)
    assert not starting.done()
    # the new operator, of which no tenant is asked: they may be paused
    await Provisioner(client, WHOLE).reconcile([])
    await asyncio.wait_for(starting, 60)
    assert set(edge.snapshot.tenants) == {"loja", "outra"}
    assert edge.snapshot.by_token("x") is None


async def test_a_copy_on_disk_of_the_release_before_is_not_enough(
    bus: Bus, client: Client, tmp_path: Path
) -> None:
    await Provisioner(client, WHOLE).reconcile([])
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    await bucket.put("loja", as_before(a_plan()))
    cache = PlanCache(tmp_path / "plans.json")
    await asyncio.to_thread(cache.write, "", {"loja": as_before(a_plan())})
    plans = Plans(bus, EDGE, cache=cache)
    starting = asyncio.create_task(plans.start())
    await eventually(lambda: plans.loaded)
    assert not starting.done()
    await Provisioner(client, WHOLE).reconcile([])
    await asyncio.wait_for(starting, 60)
    assert set(plans.snapshot.tenants) == {"loja"}
    await plans.stop()


async def test_an_answer_that_is_stored_as_a_plan_is_none_and_is_put_right(
    bus: Bus, client: Client
) -> None:
    """NATS sends answers where the asker says, whatever its rights: an acknowledgement can be led
    into the bucket.
    """
    provisioner, plan = (
        Provisioner(client, WHOLE),
        msgspec.structs.replace(a_plan(), limits=Limits(max_bytes=1 << 20)),
    )
    await provisioner.reconcile([plan])
    plans, seen = Plans(bus, RUNTIME), Plans(bus, RUNTIME)
    await plans.start(timeout_s=60)
    bucket = await client.jetstream().key_value(names.PLANS_BUCKET)
    watch: Any = await bucket.watch("loja", include_history=False)
    await client.publish("t.loja.in.lead", b"x", reply=f"$KV.{names.PLANS_BUCKET}.loja")
    async with asyncio.timeout(60):
        while (stored := await watch.updates(timeout=60)) is None or b'"stream"' not in (
            stored.value or b""
        ):
            pass
    await watch.stop()
    assert plans.snapshot.tenants["loja"] == plan
    await provisioner.reconcile([plan])
    await seen.start(timeout_s=60)
    assert plans.snapshot.tenants["loja"] == seen.snapshot.tenants["loja"] == plan
    for one in (plans, seen):
        await one.stop()


async def test_what_the_edge_sets_aside_others_open(bus: Bus, client: Client) -> None:
    await Provisioner(client, WHOLE).reconcile([])
    bucket = QuarantineBucket(bus)
    keeping = SealedQuarantine(bucket=bucket, keyring=EDGE)
    kept = await keeping.keep(
        tenant="loja", integration="v", gateway="hotmart", raw=b"{}", reason="unknown"
    )
    head = await bucket.head("loja", kept)
    assert head is not None
    for keyring in (WHOLE, RUNTIME, EDGE):
        assert open_kept(join(head, b""), keyring) == b"{}"
    with pytest.raises(LookupError):
        open_kept(join(head, b""), Keyring.generate())
    rotated = WHOLE.rotate()  # what was kept before a rotation stays readable
    assert open_kept(join(head, b""), rotated.part_for("runtime")) == b"{}"


@pytest.mark.parametrize(
    ("role", "part", "enough"),
    [
        ("operator", "runtime", False),
        ("match", "edge", False),
        ("dispatch", "edge", False),
        ("api", "edge", False),
    ],
)
def test_a_role_with_too_little_says_so(role: str, part: str, enough: bool, tmp_path: Path) -> None:
    (tmp_path / "keyring.json").write_bytes(WHOLE.to_json())
    assert parts(tmp_path / "keyring.json") == 0
    file = tmp_path / f"keyring-{part}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    command = [sys.executable, "-m", "sinal_cli", "run", role]
    environment = {**os.environ, "SINAL_KEYRING_FILE": str(file)}
    done = subprocess.run(
        command, env=environment, text=True, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode == 2) is not enough
    assert f"it is the {part} part, which is not enough for {role}" in done.stderr
