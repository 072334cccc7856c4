"""Verified deliveries that no adapter understands: kept under the tenant's key until somebody looks
or they expire.

They hold personal data in clear, so they are sealed before they leave the process, under a key
derived per tenant and bound to tenant and id. The bucket's
expiry is the retention. A tenant whose share of the bucket is used up has only heads and digests
kept: a sender that goes on must cost nobody else a place.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib

import msgspec
import structlog

from sinal_core.aio.clock import WallClock
from sinal_core.nats.errors import BusError, BusUnavailable
from sinal_core.telemetry import metrics
from sinal_crds import envelope
from sinal_crds.envelope import Envelope, TamperedEnvelope
from sinal_crds.keyring import Keyring
from sinal_hub.intake import ids
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.ports import Detour
from sinal_hub.intake.publisher import SPOOL_AFTER_S
from sinal_hub.intake.refusal import Refusal
from sinal_hub.quarantine.queue import HEAD_BYTES, QuarantineBucket
from sinal_hub.quarantine.shares import Shares
from sinal_hub.spool import SpoolEntry, SpoolError

log = structlog.get_logger(__name__)

INLINE_BYTES = 1536  # a body that is no larger stands in its head: one message, and one to read
APART = 2  # version of heads whose body stands behind them, or nowhere
MAX_RAW = 1024 * 1024  # what a webhook may hold; opening never inflates beyond it


class CannotKeep(Exception):
    """Neither the broker nor the spool took it: the sender must come again."""


class TamperedDelivery(ValueError):
    """A kept delivery that was changed, or belongs to another tenant or id."""


class QuarantinedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in the bucket: who and why in clear, the body sealed."""

    v: int = 1
    id: str
    tenant: str
    integration: str
    gateway: str
    reason: str
    received_at: int  # Unix ms
    kid: str
    nonce: bytes
    ciphertext: bytes
    apart: int = 0  # bytes of the ciphertext that stand behind the head
    digest: bytes | None = None  # SHA-256 of the raw body where the body itself is not kept


class SealedQuarantine:
    """Seals bodies and puts them into the bucket."""

    def __init__(
        self,
        *,
        bucket: QuarantineBucket,
        keyring: Keyring,
        clock: WallClock = time,
        detour: Detour | None = None,
        shares: Shares | None = None,
        tally: IntegrationCounters | None = None,
    ) -> None:
        """Without `shares` each tenant has the usual one."""
        self._bucket = bucket
        self._shares, self._tally = shares or Shares(bucket), tally
        self._detour = detour
        self._keyring = keyring
        self._clock = clock

    async def keep(
        self, *, tenant: str, integration: str, gateway: str, raw: bytes, reason: str
    ) -> str:
        """Store one body, or its digest where the tenant's share is used up.

        Returns its id, raises CannotKeep.
        """
        now_ms = int(self._clock.time() * 1000)
        kept = seal(
            raw,
            keyring=self._keyring,
            head=QuarantinedDelivery(
                id=ids.uuid7(now_ms),
                tenant=tenant,
                integration=integration,
                gateway=gateway,
                # the head has to stay within HEAD_BYTES, which shares are counted by
                reason=reason[:500],
                received_at=now_ms,
                kid=self._keyring.edge_primary,
                nonce=b"",
                ciphertext=b"",
            ),
        )
        try:
            await self._admit(kept, raw)
        except (BusError, SpoolError) as error:
            raise CannotKeep from error
        return kept.id

    async def _admit(self, kept: QuarantinedDelivery, raw: bytes) -> None:
        """Store what the tenant's share has room for."""
        room = await self._shares.take(kept.tenant, HEAD_BYTES + len(_behind(kept)))
        if room == "body":
            return await self._store(kept)
        metrics.QUARANTINE_FULL.labels(kept.tenant).inc()
        if self._tally is not None:
            refusal = Refusal(
                reason="quarantine_full",
                tenant=kept.tenant,
                integration=kept.integration,
                gateway=kept.gateway,
            )
            self._tally.refused(refusal)
        digest = hashlib.sha256(raw)
        log.warning(
            "webhook.body_not_kept", tenant=kept.tenant, id=kept.id, sha256=digest.hexdigest()
        )
        if room == "head":
            await self._store(
                msgspec.structs.replace(kept, v=APART, ciphertext=b"", digest=digest.digest())
            )

    async def _store(self, kept: QuarantinedDelivery) -> None:
        head, body = _split(kept)
        detour = self._detour
        if detour is None:
            return await self._bucket.put(kept.tenant, kept.id, head, body)
        if not detour.is_due(kept.tenant):
            # gateways count an answer that comes too late as a failure, though the delivery was
            # kept
            try:
                async with asyncio.timeout(SPOOL_AFTER_S):
                    return await self._bucket.put(kept.tenant, kept.id, head, body)
            except (BusUnavailable, TimeoutError):
                detour.failed()
        parts = self._bucket.parts(kept.tenant, kept.id, head, body)
        return await detour.take(
            [
                SpoolEntry(kept.tenant, subject, f"quarantine:{subject}", kept.received_at, part)
                for subject, part in parts
            ]
        )


def seal(raw: bytes, *, head: QuarantinedDelivery, keyring: Keyring) -> QuarantinedDelivery:
    """`head` with the body compressed and sealed into it."""
    packed = zlib.compress(raw)
    head = msgspec.structs.replace(head, v=APART if len(packed) > INLINE_BYTES else head.v)
    sealed = envelope.seal(
        packed,
        keyring=keyring,
        key_id=head.kid,
        bound=_bound(head),
        purpose=_purpose(head.tenant),
    )
    return msgspec.structs.replace(head, nonce=sealed.nonce, ciphertext=sealed.ciphertext)


def _behind(kept: QuarantinedDelivery) -> bytes:
    """What of a sealed delivery does not stand in its head."""
    return kept.ciphertext if kept.v >= APART else b""


def _split(kept: QuarantinedDelivery) -> tuple[bytes, bytes]:
    """Head and body as the bucket keeps them."""
    body = _behind(kept)
    if body:
        kept = msgspec.structs.replace(kept, ciphertext=b"", apart=len(body))
    return msgspec.msgpack.encode(kept), body


def join(head: bytes, body: bytes) -> QuarantinedDelivery:
    """The delivery out of what the bucket has of it; raises TamperedDelivery."""
    if not body:
        return read_head(head)
    try:
        kept = read_head(head)
    except TamperedDelivery:
        return read_head(head + body)  # as older releases cut it
    return msgspec.structs.replace(kept, ciphertext=body)


def open_kept(kept: QuarantinedDelivery, keyring: Keyring) -> bytes:
    """The raw body of a delivery with a body; raises TamperedDelivery, UnknownKey."""
    sealed = Envelope(kept.kid, kept.nonce, kept.ciphertext)
    try:
        packed = envelope.unseal(
            sealed, keyring=keyring, bound=_bound(kept), purpose=_purpose(kept.tenant)
        )
    except TamperedEnvelope:
        raise TamperedDelivery(f"delivery {kept.id} was changed after sealing") from None
    return zlib.decompressobj().decompress(packed, MAX_RAW)


def read_head(blob: bytes) -> QuarantinedDelivery:
    """What stands in clear; unproved until `open_kept` opened it.

    Raises TamperedDelivery for what is no such blob.
    """
    try:
        return msgspec.msgpack.decode(blob, type=QuarantinedDelivery)
    except msgspec.MsgspecError:
        raise TamperedDelivery("not a kept delivery") from None


def _purpose(tenant: str) -> bytes:
    return b"sinal quarantine v1\0" + tenant.encode()


def _bound(head: QuarantinedDelivery) -> bytes:
    # without `apart` and `digest`, which are set when it is sealed already
    return msgspec.json.encode(
        [
            head.v,
            head.id,
            head.tenant,
            head.integration,
            head.gateway,
            head.reason,
            head.received_at,
        ]
    )
