"""Deliveries nobody understands, sealed: only the right key, tenant and id open them, and only
whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats import Published
from sinal_core.nats.errors import BusUnavailable, LaneMissing
from sinal_crds.keyring import Keyring, UnknownKey
from sinal_hub.intake.ports import Detour
from sinal_hub.quarantine.keeping import (
    CannotKeep,
    SealedQuarantine,
    TamperedDelivery,
    join,
    open_kept,
    read_head,
)
from sinal_hub.quarantine.queue import HEAD_BYTES, PART_BYTES, QuarantineBucket
from sinal_hub.spool import SpoolEntry

from tests.support.fix_ingest import Clock

RAW = b'{"buyer": {"email": "maria@loja.example"}}'
KEYRING = Keyring.generate()


class Broker:
    """A bucket that has to be made first."""

    def __init__(self) -> None:
        self.made = False
        self.away = False
        self.stored: dict[str, bytes] = {}

    async def publish(
        self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
    ) -> Published:
        if self.away:
            raise BusUnavailable("away")
        if not self.made:
            raise LaneMissing(subject)
        self.stored[subject] = body
        return Published(len(self.stored), False)

    async def api(self, path: str, body: bytes = b"", *, timeout_s: float = 5.0) -> bytes:
        if path == "STREAM.INFO.KV_sinal_quarantine":
            if not self.made:
                raise LaneMissing(path)
            subjects = dict.fromkeys(self.stored, 1)
            return msgspec.json.encode({"state": {"subjects": subjects}, "total": len(subjects)})
        assert path == "STREAM.CREATE.KV_sinal_quarantine"
        assert msgspec.json.decode(body)["max_age"] == 30 * 86_400 * 10**9
        self.made = True
        return b"{}"


async def keep(broker: Broker, raw: bytes = RAW) -> str:
    bucket = SealedQuarantine(bucket=QuarantineBucket(broker), keyring=KEYRING, clock=Clock())
    return await bucket.keep(
        tenant="loja", integration="vendas", gateway="hotmart", raw=raw, reason="no purchase"
    )


async def test_kept_delivery_is_unreadable_without_the_keyring_and_whole_with_it() -> None:
    broker = Broker()
    kept_id = await keep(broker)
    [(subject, blob)] = broker.stored.items()
    assert subject == f"$KV.sinal_quarantine.loja.{kept_id}"
    assert b"maria" not in blob
    kept = read_head(blob)
    assert open_kept(kept, KEYRING) == RAW
    assert (kept.tenant, kept.integration, kept.gateway, kept.reason) == (
        "loja",
        "vendas",
        "hotmart",
        "no purchase",
    )
    with pytest.raises(UnknownKey):
        open_kept(kept, Keyring.generate())


async def test_older_keys_still_open_after_a_rotation() -> None:
    broker = Broker()
    await keep(broker)
    [blob] = broker.stored.values()
    assert open_kept(read_head(blob), KEYRING.rotate()) == RAW


@pytest.mark.parametrize("field", ["tenant", "id", "reason", "ciphertext"])
async def test_changed_delivery_does_not_open(field: str) -> None:
    broker = Broker()
    await keep(broker)
    [blob] = broker.stored.values()
    fields = msgspec.msgpack.decode(blob)
    fields[field] = fields[field] + (b"x" if field == "ciphertext" else "x")
    with pytest.raises(TamperedDelivery):
        open_kept(read_head(msgspec.msgpack.encode(fields)), KEYRING)


@given(st.binary(max_size=200))
def test_any_blob_that_is_none_is_refused(blob: bytes) -> None:
    with pytest.raises(TamperedDelivery):
        open_kept(read_head(blob), KEYRING)


async def test_incompressible_mebibyte_is_kept_in_parts() -> None:
    import random

    broker = Broker()
    raw = random.Random(1).randbytes(1024 * 1024)
    kept_id = await keep(broker, raw)
    assert max(map(len, broker.stored.values())) <= PART_BYTES
    first = f"$KV.sinal_quarantine.loja.{kept_id}"
    assert list(broker.stored)[-1] == first  # the head comes last: whole or not at all
    assert len(broker.stored[first]) <= HEAD_BYTES
    body = b"".join(broker.stored[key] for key in list(broker.stored)[:-1])
    assert open_kept(join(broker.stored[first], body), KEYRING) == raw


async def test_absent_broker_is_told() -> None:
    broker = Broker()
    broker.away = True
    with pytest.raises(CannotKeep):
        await keep(broker)


class Disk:
    """A detour that takes everything."""

    def __init__(self) -> None:
        self.taken: list[SpoolEntry] = []
        self.failures = 0

    def is_due(self, _tenant: str) -> bool:
        return False

    def failed(self) -> None:
        self.failures += 1

    async def take(self, entries: Sequence[SpoolEntry]) -> None:
        self.taken += entries


async def test_a_broker_that_does_not_answer_in_time_leaves_the_delivery_to_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(Broker):
        async def publish(
            self, subject: str, body: bytes, *, msg_id: str, timeout_s: float = 5.0
        ) -> Published:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("sinal_hub.quarantine.keeping.SPOOL_AFTER_S", 0.01)
    disk, broker = Disk(), Silent()
    bucket = SealedQuarantine(
        bucket=QuarantineBucket(broker), keyring=KEYRING, clock=Clock(), detour=cast(Detour, disk)
    )
    kept = await bucket.keep(
        tenant="loja", integration="vendas", gateway="hotmart", raw=RAW, reason="no purchase"
    )
    assert (disk.failures, len(disk.taken), broker.stored) == (1, 1, {})
    assert kept in disk.taken[0].subject
