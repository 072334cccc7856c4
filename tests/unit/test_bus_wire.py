"""JetStream's answers become types by their numbers, whatever their text says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats import (
    BusError,
    BusRefused,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
    errors,
    wire,
)
from sinal_core.nats.adaptive_linger import nak_delay_s


@pytest.mark.parametrize(
    ("code", "err_code", "expected", "advice"),
    [
        (503, 10077, errors.StreamFull, LaneFull),
        (404, 10059, errors.StreamMissing, LaneMissing),
        (404, 10014, errors.ConsumerMissing, LaneMissing),
        (400, 10054, errors.PayloadTooLarge, MessageTooLarge),
        (503, 10076, errors.BrokerBusy, BusUnavailable),
        (500, 10047, errors.StorageExhausted, BusUnavailable),
        (404, 10037, errors.MessageMissing, BusRefused),
        (400, 10058, errors.NameTaken, BusRefused),
        (400, 10065, errors.SubjectsTaken, BusRefused),
        (400, 10071, BusRefused, BusRefused),
    ],
)
def test_an_error_number_decides_the_type(
    code: int, err_code: int, expected: type[BusRefused], advice: type[BusError]
) -> None:
    error = wire.error_of(wire.ApiError(code, err_code, "any words"), "t.loja.in.click")
    assert type(error) is expected
    assert isinstance(error, advice)
    assert error.err_code == err_code
    assert str(error) == f"t.loja.in.click: any words (error {err_code})"


def test_an_ack_says_where_the_message_is() -> None:
    stored = wire.decode_puback(b'{"stream":"T-loja","seq":7,"duplicate":true,"domain":"hub"}')
    assert (stored.seq, stored.duplicate, stored.error) == (7, True, None)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.T-loja.match.3.42.40.1700000000000000000.5",
        "$JS.ACK.hub.ACCOUNTHASH.T-loja.match.3.42.40.1700000000000000000.5",
        "$JS.ACK._.ACCOUNTHASH.T-loja.match.3.42.40.1700000000000000000.5.token",
    ],
)
def test_the_ack_subject_names_lane_place_and_delivery(reply: str) -> None:
    assert wire.parse_reply(reply) == wire.Delivery(
        "T-loja", "match", 3, 42, 1_700_000_000_000_000_000, 5
    )


@pytest.mark.parametrize(
    "reply", ["", "_INBOX.abc.1", "$JS.ACK.short", "$JS.FC.T-loja.match.3.42.40.1.5"]
)
def test_another_subject_is_no_delivery(reply: str) -> None:
    assert wire.parse_reply(reply) is None


def test_a_nak_carries_its_delay_in_nanoseconds() -> None:
    assert wire.nak(0) == b"-NAK"
    assert wire.nak(1.5) == b'-NAK {"delay":1500000000}'


@given(st.integers(0, 10_000))
def test_the_wait_doubles_up_to_a_minute(deliveries: int) -> None:
    full = min(60, 2 ** (max(deliveries, 1) - 1))
    assert 0.75 * full <= nak_delay_s(deliveries) <= full <= 60
