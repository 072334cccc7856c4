"""Sealed bytes: AES-256-GCM under a key of the keyring, bound to what stands in clear beside them.

Every seal of the platform is made and opened here: plans, what the edge needs of them, kept
deliveries. What is bound is not in the envelope: who opens it says it again, and a change of it is
a change of the envelope.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sinal_crds.keyring import Keyring, derived

_NONCE_BYTES = 12


class TamperedEnvelope(ValueError):
    """An envelope that was changed, or is opened as what it was not sealed for."""


class Envelope(NamedTuple):
    """`key_id` names a key of the keyring."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


def seal(
    data: bytes, *, keyring: Keyring, key_id: str, bound: bytes, purpose: bytes = b""
) -> Envelope:
    """The envelope of some bytes; raises UnknownKey.

    With a `purpose` the key is one that is derived for it alone.
    """
    # Drawn at random. With 96 bits NIST (SP 800-38D) allows that 2**32 times under one key.
    nonce = secrets.token_bytes(_NONCE_BYTES)
    key = _key(keyring, key_id, purpose)
    return Envelope(key_id, nonce, AESGCM(key).encrypt(nonce, data, bound))


def unseal(envelope: Envelope, *, keyring: Keyring, bound: bytes, purpose: bytes = b"") -> bytes:
    """What was sealed; raises UnknownKey, TamperedEnvelope."""
    key = _key(keyring, envelope.key_id, purpose)
    try:
        return AESGCM(key).decrypt(envelope.nonce, envelope.ciphertext, bound)
    # A nonce that was shortened is a ValueError, before any tag is looked at.
    except (InvalidTag, ValueError) as error:
        raise TamperedEnvelope(type(error).__name__) from None


def _key(keyring: Keyring, key_id: str, purpose: bytes) -> bytes:
    key = keyring.key(key_id)
    return derived(key, purpose) if purpose else key
