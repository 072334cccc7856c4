"""A claim outlives the request it was made for and ends before the broker gives its message to
another worker.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sinal_hub.dispatch.settings import DeliverySettings
from sinal_hub.dispatch.worker import lease_s
from sinal_operator.provision import desired


@given(ack_wait_s=st.floats(5, 600), timeout_s=st.floats(0.1, 25))
def test_every_accepted_setting_keeps_request_lease_and_ack_wait_in_order(
    ack_wait_s: float, timeout_s: float
) -> None:
    try:
        settings = DeliverySettings(lane_ack_wait_s=ack_wait_s, graph_timeout_s=timeout_s)
    except ValidationError:
        assert timeout_s * 2 > ack_wait_s * 0.9
        return
    assert timeout_s < lease_s(settings) < ack_wait_s


def test_a_request_that_may_outlive_its_claim_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValidationError, match=r"graph_timeout_s is 10 and may be 3\.66"):
        DeliverySettings(lane_ack_wait_s=8, graph_timeout_s=10)


def test_operator_and_workers_agree_on_the_default() -> None:
    assert DeliverySettings.model_fields["lane_ack_wait_s"].default == desired.ACK_WAIT_S
