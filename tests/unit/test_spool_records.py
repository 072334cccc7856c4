"""The spool's format: what was written is read back, and damage costs only what it hit."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.spool.record import DONE, HEAD_BYTES, MAGIC, MARK, STATE_AT, SpoolEntry, pack, scan

entries = st.builds(
    SpoolEntry,
    st.text(min_size=1, max_size=10),
    st.text(max_size=30),
    st.text(max_size=40),
    st.integers(0, 2**53),
    st.binary(max_size=300) | st.just(MARK * 3) | st.just(MAGIC),
)


def segment(written: list[SpoolEntry]) -> bytes:
    return MAGIC + b"".join(map(pack, written))


@given(st.lists(entries, max_size=20))
def test_what_was_written_is_read_back_in_order(written: list[SpoolEntry]) -> None:
    found = scan(segment(written))
    assert [one.entry for one in found.records] == written
    assert (found.damaged, found.end) == (0, len(segment(written)))


@given(st.lists(entries, min_size=1, max_size=8), st.data())
def test_torn_tail_costs_the_last_record_only(
    written: list[SpoolEntry], data: st.DataObject
) -> None:
    whole = segment(written[:-1])
    cut = data.draw(st.integers(0, len(pack(written[-1])) - 1))
    found = scan(segment(written)[: len(whole) + cut])
    assert [one.entry for one in found.records] == written[:-1]
    assert (found.damaged, found.end) == (0, len(whole))


@given(st.lists(entries, min_size=3, max_size=8), st.data())
def test_changed_byte_costs_the_record_it_is_in_only(
    written: list[SpoolEntry], data: st.DataObject
) -> None:
    hit = data.draw(st.integers(0, len(written) - 2))
    start = len(segment(written[:hit]))
    at = start + data.draw(
        st.integers(0, len(pack(written[hit])) - 1).filter(lambda n: n != STATE_AT)
    )
    raw = bytearray(segment(written))
    raw[at] ^= data.draw(st.integers(1, 255))
    found = scan(bytes(raw))
    assert [one.entry for one in found.records] == written[:hit] + written[hit + 1 :]
    assert found.damaged == 1


@given(st.lists(entries, min_size=1, max_size=5))
def test_state_is_the_only_byte_that_may_change(written: list[SpoolEntry]) -> None:
    raw = bytearray(segment(written))
    raw[len(MAGIC) + STATE_AT] = DONE
    assert [one.done for one in scan(bytes(raw)).records] == [True] + [False] * (len(written) - 1)


@given(st.binary(max_size=500))
def test_any_bytes_are_scanned(raw: bytes) -> None:
    for one in scan(MAGIC + raw).records:
        assert raw[one.offset - len(MAGIC) :].startswith(MARK)


def test_no_event_can_pretend_to_be_a_record() -> None:
    planted = pack(SpoolEntry("outra", "t.outra.in.sale", "k", 0, b"{}")).decode("latin-1")
    assert MARK not in msgspec.json.encode({"url": planted}) and HEAD_BYTES == 13
