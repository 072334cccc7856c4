"""Verified deliveries that no adapter understands: kept under the tenant's key until somebody looks or they expire.

They hold personal data in clear, so they are sealed before they leave the process: AES-256-GCM under a key derived
per tenant (HKDF-SHA256 from the keyring), bound to tenant and id. The bucket's expiry is the retention.
"""

from __future__ import annotations

import secrets
import time
import zlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sinal_crds.keyring import Keyring
from sinal_runtime.bus.errors import BusError, BusUnavailable
from sinal_runtime.bus.quarantine import QuarantineBucket
from sinal_runtime.ingest import ids
from sinal_runtime.ingest.ports import Clock, Detour
from sinal_runtime.spool import Entry, SpoolError

_NONCE_BYTES = 12
MAX_RAW = 1024 * 1024  # what a webhook may hold; opening never inflates beyond it


class CannotKeep(Exception):
    """Neither the broker nor the spool took it: the sender must come again."""


class TamperedDelivery(ValueError):
    """A kept delivery that was changed, or belongs to another tenant or id."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
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


class SealedQuarantine:
    """Seals bodies and puts them into the bucket."""

    def __init__(
        self, *, bucket: QuarantineBucket, keyring: Keyring, clock: Clock = time, detour: Detour | None = None
    ) -> None:
        self._bucket = bucket
        self._detour = detour
        self._keyring = keyring
        self._clock = clock

    async def keep(self, *, tenant: str, integration: str, gateway: str, raw: bytes, reason: str) -> str:
        """Store one body; returns its id, raises CannotKeep."""
        now_ms = int(self._clock.time() * 1000)
        kept = seal(
            raw,
            keyring=self._keyring,
            head=Kept(
                id=ids.uuid7(now_ms),
                tenant=tenant,
                integration=integration,
                gateway=gateway,
                reason=reason[:500],
                received_at=now_ms,
                kid=self._keyring.primary,
                nonce=secrets.token_bytes(_NONCE_BYTES),
                ciphertext=b"",
            ),
        )
        try:
            await self._store(kept)
        except (BusError, SpoolError) as error:
            raise CannotKeep from error
        return kept.id

    async def _store(self, kept: Kept) -> None:
        blob = msgspec.msgpack.encode(kept)
        detour = self._detour
        if detour is None:
            return await self._bucket.put(kept.tenant, kept.id, blob)
        if not detour.is_due(kept.tenant):
            try:
                return await self._bucket.put(kept.tenant, kept.id, blob)
            except BusUnavailable:
                detour.failed()
        parts = self._bucket.parts(kept.tenant, kept.id, blob)
        return await detour.take(
            [Entry(kept.tenant, subject, f"quarantine:{subject}", kept.received_at, part) for subject, part in parts]
        )


def seal(raw: bytes, *, head: Kept, keyring: Keyring) -> Kept:
    """`head` with the body compressed and sealed into it."""
    key = _tenant_key(keyring, head.kid, head.tenant)
    return msgspec.structs.replace(head, ciphertext=AESGCM(key).encrypt(head.nonce, zlib.compress(raw), _bound(head)))


def open_kept(blob: bytes, keyring: Keyring) -> tuple[Kept, bytes]:
    """What `keep` stored and its raw body; raises TamperedDelivery, UnknownKey."""
    kept = read_head(blob)
    key = _tenant_key(keyring, kept.kid, kept.tenant)
    try:
        packed = AESGCM(key).decrypt(kept.nonce, kept.ciphertext, _bound(kept))
    except (InvalidTag, ValueError):
        raise TamperedDelivery(f"delivery {kept.id} was changed after sealing") from None
    return kept, zlib.decompressobj().decompress(packed, MAX_RAW)


def read_head(blob: bytes) -> Kept:
    """What stands in clear; unproved until `open_kept` opened it. Raises TamperedDelivery for what is no such blob."""
    try:
        return msgspec.msgpack.decode(blob, type=Kept)
    except msgspec.MsgspecError:
        raise TamperedDelivery("not a kept delivery") from None


def _tenant_key(keyring: Keyring, kid: str, tenant: str) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sinal quarantine v1\0" + tenant.encode())
    return derive.derive(keyring.key(kid))


def _bound(head: Kept) -> bytes:
    return msgspec.json.encode(
        [head.v, head.id, head.tenant, head.integration, head.gateway, head.reason, head.received_at]
    )
