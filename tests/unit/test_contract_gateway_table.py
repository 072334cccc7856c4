"""The operator checks Secrets by the same words that the adapters verify deliveries with."""

from __future__ import annotations

from typing import get_args

import pytest

from sinal_crds.compile import compile
from sinal_crds.credentials import optional_keys, required_keys
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load_text
from sinal_crds.models.integration import UNSIGNED, Gateway
from sinal_crds.secrets import Secrets
from sinal_hub.gateways import registry
from sinal_hub.model.readback import ReadsBack


@pytest.mark.parametrize("gateway", get_args(Gateway))
def test_a_gateway_needs_credentials_unless_it_sends_no_proof(gateway: str) -> None:
    assert bool(required_keys(gateway)) == (gateway not in UNSIGNED)


def test_the_adapters_read_the_keys_that_the_contract_asks_for() -> None:
    adapters = {name: tuple(module.SECRET_KEYS) for name, module in registry().items()}
    assert adapters
    assert adapters == {name: required_keys(name) for name in adapters}


def test_every_adapter_can_be_declared() -> None:
    assert registry().keys() <= set(get_args(Gateway))


def test_the_keys_that_a_call_back_needs_reach_the_plan() -> None:
    calling = {
        name: module.READBACK_KEYS
        for name, module in registry().items()
        if isinstance(module, ReadsBack)
    }
    assert calling.keys() == {"mercadopago", "pagbank"}
    for name, keys in calling.items():
        assert set(keys) <= {*required_keys(name), *optional_keys(name)}
        assert set(optional_keys(name)).isdisjoint(required_keys(name))


@pytest.mark.parametrize(
    ("data", "credentials", "usable"),
    [
        (
            {"webhookSecret": "s", "accessToken": "t", "other": "x"},
            {"webhookSecret": "s", "accessToken": "t"},
            True,
        ),
        ({"webhookSecret": "s"}, {"webhookSecret": "s"}, True),
        ({"accessToken": "t"}, {"accessToken": "t"}, False),
    ],
)
def test_a_plan_takes_the_optional_keys_along_and_nothing_else(
    data: dict[str, str], credentials: dict[str, str], usable: bool
) -> None:
    manifests = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja, type: Perpetual}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: mp}
spec: {tenantRef: loja, funnelRef: curso, gateway: mercadopago, credentialsSecretRef: {name: mp}}
"""
    compilation = compile(
        load_text(manifests).objects, Secrets({("default", "mp"): data}), Keyring.generate()
    )
    [integration] = compilation.plans[0].integrations
    assert integration.credentials == credentials
    assert (integration.problem is None) is usable


OUTSIDE = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja, type: Perpetual}
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: nova}
spec: {tenantRef: loja, funnelRef: curso, gateway: x-acmepay, credentialsSecretRef: {name: acme}}
"""


@pytest.mark.parametrize(
    ("data", "credentials", "problem"),
    [
        ({"token": "t", "anyKey": "x", "empty": ""}, {"token": "t", "anyKey": "x"}, None),
        ({}, {}, None),
        (None, {}, "Secret acme does not exist in this namespace; create it"),
    ],
)
def test_an_outside_gateway_gets_every_key_under_its_own_name(
    data: dict[str, str] | None, credentials: dict[str, str], problem: str | None
) -> None:
    secrets = Secrets({} if data is None else {("default", "acme"): data})
    compilation = compile(load_text(OUTSIDE).objects, secrets, Keyring.generate())
    [integration] = compilation.plans[0].integrations
    assert (integration.gateway, integration.credentials) == ("acmepay", credentials)
    assert integration.problem == problem
    assert compilation.minted["loja"]["webhooks"]["nova"]["gateway"] == "acmepay"
