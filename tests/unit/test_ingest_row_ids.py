"""Ids of events are base32 of a digest for ever: rows and answers that exist were named by it."""

from __future__ import annotations

import hashlib
from base64 import b32encode

from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.model.events import event_row_id


@given(st.text(max_size=40), st.text(max_size=200))
def test_row_id_is_base32_of_the_digests_first_half(tenant: str, key: str) -> None:
    digest = hashlib.sha256(f"{tenant}|{key}".encode()).digest()[:16]
    assert event_row_id(tenant, key) == "ev_" + b32encode(digest).decode().rstrip("=").lower()
