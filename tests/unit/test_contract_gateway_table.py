"""The operator checks Secrets by the same words that the adapters verify deliveries with."""

from __future__ import annotations

from typing import get_args

import pytest

from sinal_crds.credentials import required_keys
from sinal_crds.models.integration import UNSIGNED, Gateway
from sinal_runtime.gateways import registry


@pytest.mark.parametrize("gateway", get_args(Gateway))
def test_a_gateway_needs_credentials_unless_it_sends_no_proof(gateway: str) -> None:
    assert bool(required_keys(gateway)) == (gateway not in UNSIGNED)


def test_the_adapters_read_the_keys_that_the_contract_asks_for() -> None:
    adapters = {name: tuple(module.SECRET_KEYS) for name, module in registry().items()}
    assert adapters
    assert adapters == {name: required_keys(name) for name in adapters}


def test_every_adapter_can_be_declared() -> None:
    assert registry().keys() <= set(get_args(Gateway))
