"""Attack: a tenant, or whoever knows the URL of an unsigned gateway, sends bodies that nobody
understands.

Before: each up to 1 MiB was kept, 60,000 a minute, in one bucket without a bound; a viewer's list
read all of them; an erasure searched them for minutes while those of all other tenants waited.
"""

from __future__ import annotations

import random
import secrets
import time
import zlib
from types import SimpleNamespace

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nats.aio.client import Client

from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_core.telemetry import metrics
from sinal_crds import names
from sinal_crds.keyring import Keyring
from sinal_hub.ingest.webhooks.door import UNREADABLE_PER_MINUTE
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.publisher import EventPublisher
from sinal_hub.model.events import Forget
from sinal_hub.privacy import queues
from sinal_hub.privacy.data_subject import MAX_FOUND, Person, TooManyPeople, mentions
from sinal_hub.privacy.erasure import Eraser, ErasureUnfinished
from sinal_hub.privacy.queues import Incoming, QuarantineReader
from sinal_hub.privacy.spools import BroadcastSpools
from sinal_hub.quarantine.keeping import QuarantinedDelivery, SealedQuarantine, _bound, seal
from sinal_hub.quarantine.queue import HEAD_BYTES, PART_BYTES, QuarantineBucket
from sinal_hub.quarantine.release import Quarantined
from sinal_hub.quarantine.shares import Shares
from sinal_hub.store.audit import AuditEntry
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.privacy import NewErasure, PrivacyStore
from sinal_operator.provision import desired
from sinal_operator.provision.provisioner import Provisioner

from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import SECRET, TOKEN, EdgeWorld, a_sale
from tests.support.fix_matching import Room
from tests.support.fix_operations import tenants

KEYRING = Keyring.generate()
ANA = Person.of(country="BR", email="ana@example.com")
noise = random.Random(4).randbytes


async def keep(sealed: SealedQuarantine, raw: bytes, *, tenant: str = "loja") -> str:
    return await sealed.keep(
        tenant=tenant, integration="vendas", gateway="open", raw=raw, reason="not JSON"
    )


class Counting(QuarantineBucket):
    """Counts the bytes that are read of deliveries."""

    read = 0

    async def _get(self, subject: str) -> bytes | None:
        found = await super()._get(subject)
        self.read += len(found or b"")
        return found


def not_kept(tenant: str) -> float:
    samples = [sample for family in metrics.QUARANTINE_FULL.collect() for sample in family.samples]
    return sum(
        one.value
        for one in samples
        if one.labels["tenant"] == tenant and one.name.endswith("_total")
    )


def quarantined(bus: Bus, bucket: QuarantineBucket) -> Quarantined:
    return Quarantined(
        bucket=bucket,
        keyring=KEYRING,
        plans=StaticPlans(),
        gateways={},
        out=EventPublisher(bus=bus),
    )


async def test_beyond_its_share_a_tenant_has_heads_and_digests_kept_then_nothing_and_is_told(
    bus: Bus, make_tenant: MakeTenant
) -> None:
    await make_tenant("loja")
    bucket, tally = QuarantineBucket(bus), IntegrationCounters(worker="edge")
    shares = Shares(bucket, max_bytes=3 * 1024 * 1024, max_bodies=10, max_heads=12)
    sealed = SealedQuarantine(bucket=bucket, keyring=KEYRING, shares=shares, tally=tally)
    before = not_kept("loja")
    ids = [await keep(sealed, noise(1024 * 1024)) for _ in range(14)]
    held = await bucket.held("loja")
    assert {key[1] for key in held} == set(ids[:12])
    assert sum(one.bytes for one in held.values()) < 3 * 1024 * 1024 + 12 * HEAD_BYTES
    page = await quarantined(bus, bucket).page("loja")
    digests = [one.body_sha256 is not None for one in reversed(page.deliveries)]
    assert digests == [False, False] + [True] * 10
    assert not_kept("loja") == before + 12
    [told] = tally._refusing.untold(10)
    assert (told.reason, told.tenant, told.integration, told.deliveries) == (
        "quarantine_full",
        "loja",
        "vendas",
        12,
    )
    await keep(sealed, noise(1024 * 1024), tenant="outra")
    assert [
        one.body_sha256 for one in (await quarantined(bus, bucket).page("outra")).deliveries
    ] == [None]
    again = await quarantined(bus, bucket).reparse("loja", ids[5])
    assert again is not None and again.result != "released"


async def test_who_has_many_tenants_leaves_room_for_the_others(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone is within its share; together their shares are more than the bucket."""
    kib = 1024
    monkeypatch.setitem(desired.MAX_BYTES, names.QUARANTINE_BUCKET, 4_000 * kib)
    config = desired.bucket(names.QUARANTINE_BUCKET, replicas=1)
    await bus.api(f"STREAM.CREATE.{config['name']}", msgspec.json.encode(config))
    bucket = QuarantineBucket(bus)
    sealed = SealedQuarantine(
        bucket=bucket, keyring=KEYRING, shares=Shares(bucket, max_bytes=500 * kib)
    )
    for rival in range(12):
        for _ in range(6):
            await keep(sealed, noise(90 * kib), tenant=f"rival-{rival}")
    free = await bucket.free()
    assert free is not None and free > 1_000 * kib
    fresh = Shares(bucket, max_bytes=500 * kib)  # of another process, which has not seen them come
    await keep(SealedQuarantine(bucket=bucket, keyring=KEYRING, shares=fresh), noise(90 * kib))
    assert [
        one.body_sha256 for one in (await quarantined(bus, bucket).page("loja")).deliveries
    ] == [None]


async def test_who_may_write_a_delivery_takes_no_other_away(bus: Bus, client: Client) -> None:
    """The edge's user of NATS may write to the bucket.

    A header that rolls the stream up would empty it.
    """
    bucket, stream = QuarantineBucket(bus), f"KV_{names.QUARANTINE_BUCKET}"
    # makes it, where no provisioner has
    await keep(SealedQuarantine(bucket=bucket, keyring=KEYRING), b"<html>")
    before = desired.bucket(names.QUARANTINE_BUCKET, replicas=1) | {"allow_rollup_hdrs": True}
    subject = f"$KV.{names.QUARANTINE_BUCKET}.rival.1"
    for way in ("made on first use", "made by an older release, and looked at by this one"):
        for what in ("all", "sub"):
            await client.request(subject, b"x", headers={"Nats-Rollup": what}, timeout=60)
        assert (
            set(await bucket.held())
            >= {("loja", key[1]) for key in await bucket.held("loja")}
            != set()
        ), way
        await client.jetstream().delete_stream(stream)
        await bus.api(f"STREAM.CREATE.{stream}", msgspec.json.encode(before))
        await keep(SealedQuarantine(bucket=bucket, keyring=KEYRING), b"<html>")
        await Provisioner(client, KEYRING).reconcile([])


async def test_what_another_process_kept_counts(bus: Bus) -> None:
    bucket = QuarantineBucket(bus)
    for shares in (Shares(bucket, max_bodies=1), Shares(bucket, max_bodies=1)):
        await keep(SealedQuarantine(bucket=bucket, keyring=KEYRING, shares=shares), b"<html>")
    page = await quarantined(bus, bucket).page("loja")
    assert [one.body_sha256 is None for one in page.deliveries] == [False, True]


async def test_a_viewer_s_list_reads_heads_not_bodies(bus: Bus) -> None:
    bucket = Counting(bus)
    sealed = SealedQuarantine(bucket=bucket, keyring=KEYRING)
    ids = [await keep(sealed, noise(1024 * 1024)) for _ in range(8)]
    page = await quarantined(bus, bucket).page("loja", limit=200)
    assert [one.id for one in page.deliveries] == ids[::-1]
    assert all(one.sealed_bytes > 1024 * 1024 for one in page.deliveries)
    assert 0 < bucket.read <= 8 * HEAD_BYTES


async def test_what_an_older_release_kept_in_parts_is_listed_and_searched(bus: Bus) -> None:
    bucket = QuarantineBucket(bus)
    raw = b"ana@example.com " + noise(900_000)
    # makes the bucket
    kept_id = await keep(SealedQuarantine(bucket=bucket, keyring=KEYRING), b"<html>")
    older = kept_id[:-4] + "0000"
    head = QuarantinedDelivery(
        id=older, tenant="loja", integration="vendas", gateway="open", reason="r", received_at=1,
        kid=KEYRING.primary, nonce=secrets.token_bytes(12), ciphertext=b"",
    )  # fmt: skip
    blob = msgspec.msgpack.encode(seal_as_before(raw, head))
    for at, start in reversed(list(enumerate(range(0, len(blob), PART_BYTES)))):
        await bucket.write(
            f"{bucket.PREFIX}loja.{older}" + (f".{at}" if at else ""),
            blob[start : start + PART_BYTES],
        )
    page = await quarantined(bus, bucket).page("loja")
    sizes = {one.id: one.sealed_bytes for one in page.deliveries}
    assert set(sizes) == {kept_id, older} and sizes[older] > 890_000
    found = await QuarantineReader(bus, KEYRING).find(ANA.forget("loja"), country="BR")
    assert [(kept.id, body == raw) for kept, body in found] == [(older, True)]


def seal_as_before(raw: bytes, head: QuarantinedDelivery) -> QuarantinedDelivery:
    """Version 1 with the whole body in it."""
    assert seal(b"small", head=head, keyring=KEYRING).v == 1  # what fits a head is still sealed so
    info = b"sinal quarantine v1\0" + head.tenant.encode()
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=info)
    key = derive.derive(KEYRING.key(head.kid))
    return msgspec.structs.replace(
        head, ciphertext=AESGCM(key).encrypt(head.nonce, zlib.compress(raw), _bound(head))
    )


async def test_deliveries_that_nobody_understands_have_a_rate_of_their_own(
    edge_world: EdgeWorld,
) -> None:
    headers = {"x-signature": SECRET}
    client = edge_world.client()
    path = f"/api/v1/webhooks/signed/{TOKEN}"
    answers = [
        await client.post(path, b"<html>", headers=headers)
        for _ in range(UNREADABLE_PER_MINUTE + 1)
    ]
    assert {answer.status for answer in answers[:-1]} == {202}
    assert answers[-1].status == 429 and int(answers[-1].headers["retry-after"]) >= 1
    assert len(edge_world.quarantine.kept) == UNREADABLE_PER_MINUTE
    assert (
        await client.post(path, msgspec.json.encode([a_sale()]), headers=headers)
    ).status == 202, "sales are not held up by it"


@pytest.mark.parametrize(("filler", "field"), [(b"a%d@b%d.example ", "em"), (b"119%08d %d,", "ph")])
def test_a_body_made_of_people_is_not_searched_for_long(filler: bytes, field: str) -> None:
    hostile = b"".join(filler % (n, n) for n in range(60_000))
    began = time.process_time()
    with pytest.raises(TooManyPeople, match=field):
        mentions(hostile, Forget(tenant="loja", emails=["0" * 64], phones=["1" * 64]), country="BR")
    assert time.process_time() - began < 3
    assert mentions(
        filler % (1, 1) * MAX_FOUND + b" ana@example.com", ANA.forget("loja"), country="BR"
    )


async def test_an_erasure_with_much_to_search_holds_up_no_other_tenant_s_and_goes_on(
    room: Room, bus: Bus, make_tenant: MakeTenant
) -> None:
    for slug in ("loja", "outra"):
        await make_tenant(slug, names.MATCH_CONSUMER)
    sealed = SealedQuarantine(bucket=QuarantineBucket(bus), keyring=KEYRING)
    for _ in range(3):
        await keep(sealed, b"ana@example.com")
    await keep(sealed, b"".join(b"a%d@b%d.example " % (n, n) for n in range(10_000)))
    store, matching = PrivacyStore(room.database), MatchStore(room.database)

    def eraser(budget_s: float) -> Eraser:
        quarantine = QuarantineReader(bus, KEYRING)
        spools, plans = BroadcastSpools(bus), StaticPlans(*tenants())
        incoming = Incoming(bus, matching)
        return Eraser(room.database, store, incoming, quarantine, spools, plans, budget_s=budget_s)

    for slug in ("loja", "outra"):
        audit = AuditEntry(
            actor="t", role="admin", action="privacy.erase", target=slug, tenant=slug
        )
        await store.request(
            NewErasure(id=f"era_{slug}", subject=ANA.forget(slug), keys=[], audit=audit)
        )
    one = eraser(budget_s=-1)
    with pytest.raises(ErasureUnfinished, match="1 of 2"):
        await one.run()
    loja, outra = [await store.erasure(slug, f"era_{slug}") for slug in ("loja", "outra")]
    assert loja is not None and outra is not None
    assert (loja.state, loja.problem, outra.state) == ("waiting", "TimeIsUp", "done")
    assert await eraser(budget_s=60).run() == 1
    loja = await store.erasure("loja", "era_loja")
    assert loja is not None and (loja.state, loja.counts["quarantine"]) == ("done", 4)
    assert await QuarantineBucket(bus).held("loja") == {}


async def test_a_search_goes_on_where_its_time_was_up(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = SealedQuarantine(bucket=QuarantineBucket(bus), keyring=KEYRING)
    ids = [await keep(sealed, b"ana@example.com" if at % 2 else b"<html>") for at in range(6)]
    looked: list[int] = []
    now = [0.0]

    def look(raw: bytes, wanted: Forget, *, country: str) -> bool:
        now[0] += 1
        looked.append(len(raw))
        return mentions(raw, wanted, country=country)

    monkeypatch.setattr(queues, "mentions", look)
    monkeypatch.setattr(queues, "time", SimpleNamespace(monotonic=lambda: now[0]))
    quarantine = QuarantineReader(bus, KEYRING)
    done = await quarantine.erase(ANA.forget("loja"), queues.Searched(), country="BR", until=4)
    assert (done.deleted, done.after, done.finished) == (2, sorted(ids)[3], False)
    done = await quarantine.erase(ANA.forget("loja"), done, country="BR", until=9)
    assert (done.deleted, done.finished, len(looked)) == (3, True, 6)


async def test_a_bucket_of_an_older_release_gets_its_bound_and_loses_nothing(
    client: Client, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    js, name = client.jetstream(), f"KV_{names.QUARANTINE_BUCKET}"
    before = desired.bucket(names.QUARANTINE_BUCKET, replicas=1) | {"max_bytes": -1}
    await bus.api(f"STREAM.CREATE.{name}", msgspec.json.encode(before))
    await keep(SealedQuarantine(bucket=QuarantineBucket(bus), keyring=KEYRING), noise(200_000))
    monkeypatch.setitem(desired.MAX_BYTES, names.QUARANTINE_BUCKET, 100_000)
    await Provisioner(client, KEYRING).reconcile([])
    full = await js.stream_info(name)
    assert (full.config.max_bytes, full.state.messages) == (-1, 2)
    monkeypatch.undo()
    await Provisioner(client, KEYRING).reconcile([])
    assert (await js.stream_info(name)).config.max_bytes == names.QUARANTINE_BYTES
    own = msgspec.json.encode(before | {"max_bytes": 3 * 2**29})
    await bus.api(f"STREAM.UPDATE.{name}", own)
    await Provisioner(client, KEYRING).reconcile([])
    assert (await js.stream_info(name)).config.max_bytes == 3 * 2**29, (
        "what somebody configured stays"
    )
