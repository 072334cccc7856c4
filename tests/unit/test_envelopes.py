"""What is sealed opens as what it was sealed for, and as nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.envelope import Envelope, TamperedEnvelope, seal, unseal
from sinal_crds.keyring import Keyring, UnknownKey

KEYRING = Keyring.generate()
PURPOSES = st.sampled_from([b"", b"one", b"another"])


@given(st.binary(max_size=200), st.binary(max_size=50), PURPOSES)
def test_it_opens_with_the_same_words(data: bytes, bound: bytes, purpose: bytes) -> None:
    sealed = seal(data, keyring=KEYRING, key_id=KEYRING.primary, bound=bound, purpose=purpose)
    assert unseal(sealed, keyring=KEYRING, bound=bound, purpose=purpose) == data
    assert data not in sealed.ciphertext or len(data) < 4


@given(st.data())
def test_no_change_of_anything_opens(data: st.DataObject) -> None:
    bound, purpose = b"loja", b"one"
    sealed = seal(b"secret", keyring=KEYRING, key_id=KEYRING.primary, bound=bound, purpose=purpose)
    at = data.draw(st.integers(0, len(sealed.ciphertext) - 1))
    bit = data.draw(st.integers(0, 7))
    flipped = bytearray(sealed.ciphertext)
    flipped[at] ^= 1 << bit
    for envelope, said_bound, said_purpose in (
        (sealed._replace(ciphertext=bytes(flipped)), bound, purpose),
        (sealed._replace(ciphertext=sealed.ciphertext[:at]), bound, purpose),
        (sealed._replace(nonce=bytes(12)), bound, purpose),
        (sealed._replace(nonce=b""), bound, purpose),
        (sealed._replace(key_id=KEYRING.edge_primary), bound, purpose),
        (sealed, b"outra", purpose),
        (sealed, bound, b"another"),
        (sealed, bound, b""),
    ):
        with pytest.raises(TamperedEnvelope):
            unseal(envelope, keyring=KEYRING, bound=said_bound, purpose=said_purpose)


def test_two_seals_of_the_same_share_nothing() -> None:
    first, second = (
        seal(b"secret", keyring=KEYRING, key_id=KEYRING.primary, bound=b"") for _ in range(2)
    )
    assert first.nonce != second.nonce and first.ciphertext != second.ciphertext


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownKey, match="k-gone"):
        unseal(Envelope("k-gone", bytes(12), bytes(32)), keyring=KEYRING, bound=b"")
