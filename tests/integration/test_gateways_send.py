"""`sinal gateways send`: each gateway's samples pass the real door, signed with the Secret of the
stack's manifests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.aio.client import Client as NatsClient

from sinal_cli.client.show import Output
from sinal_cli.samples import sample
from sinal_cli.samples.send import SendOptions, send
from sinal_core.nats import Bus
from sinal_core.plans.testing import StaticPlans
from sinal_crds.keyring import Keyring
from sinal_crds.names import API_VERSION
from sinal_crds.plan import IntegrationPlan
from sinal_hub.gateways import registry
from sinal_hub.gateways.answers import EXPECTED
from sinal_hub.ingest.server import IngestServer
from sinal_hub.ingest.settings import ServerSettings
from sinal_hub.ingest.testing import sha256
from sinal_hub.model.events import decode_event

from tests.support.fix_bus import MakeTenant
from tests.support.fix_ingest import a_tenant

GATEWAYS = sorted(registry())


def credentials(gateway: str) -> dict[str, str]:
    return {key: f"{gateway}-s3cret" for key in registry()[gateway].SECRET_KEYS}


def manifests() -> str:
    """A tenant with one integration a gateway, and their Secrets."""
    found: list[dict[str, Any]] = [
        {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"name": "loja"}, "spec": {}},
        {
            "apiVersion": API_VERSION,
            "kind": "Funnel",
            "metadata": {"name": "curso"},
            "spec": {"tenantRef": "loja"},
        },
    ]
    for gateway in GATEWAYS:
        spec: dict[str, Any] = {"tenantRef": "loja", "funnelRef": "curso", "gateway": gateway}
        if credentials(gateway):
            spec["credentialsSecretRef"] = {"name": f"{gateway}-loja"}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{gateway}-loja"}}
            found.append({**secret, "stringData": credentials(gateway)})
        found.append(
            {
                "apiVersion": API_VERSION,
                "kind": "GatewayIntegration",
                "metadata": {"name": gateway},
                "spec": spec,
            }
        )
    return yaml.safe_dump_all(found)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the command said, without the edge's log."""
    return [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")
    ]


@pytest.fixture
async def stack(bus: Bus, make_tenant: MakeTenant, tmp_path: Path) -> AsyncIterator[Path]:
    """The data folder of an edge with an integration of every gateway."""
    await make_tenant("loja")
    integrations = tuple(
        IntegrationPlan(
            name=gateway, gateway=gateway, funnel="curso", token_sha256=sha256(f"tok-{gateway}-3f9a"),
            credentials=credentials(gateway),
        )
        for gateway in GATEWAYS
    )  # fmt: skip
    plans = StaticPlans(a_tenant(integrations=integrations))
    server = IngestServer(ServerSettings(port=0), bus, plans, keyring=Keyring.generate())
    await server.start()
    (tmp_path / "loja.yaml").write_text(manifests())
    webhooks = {
        gateway: {
            "gateway": gateway,
            "url": f"{server.url}/t/loja/api/v1/webhooks/{gateway}/tok-{gateway}-3f9a",
        }
        for gateway in GATEWAYS
    }
    ready = {"files": [str(tmp_path / "loja.yaml")], "tenants": {"loja": {"webhooks": webhooks}}}
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    try:
        yield tmp_path
    finally:
        await server.stop()


async def test_every_sample_is_accepted_and_stored_as_its_kind(
    stack: Path, client: NatsClient, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = list(sample.listed())
    for one in samples:
        wanted = SendOptions(gateway=one["gateway"], event=one["event"], data=stack)
        assert await asyncio.to_thread(send, wanted, Output(as_json=True)) == 0, one
    answers = told(capsys)
    assert {(answer["gateway"], answer["status"]) for answer in answers} == {
        (name, EXPECTED[name].code) for name in sample.sampled()
    }
    info = await client.jetstream().stream_info("T-loja")
    messages = [
        await client.jetstream().get_msg("T-loja", seq) for seq in range(1, info.state.last_seq + 1)
    ]
    stored = {
        event.id: event for event in (decode_event(message.data or b"") for message in messages)
    }
    for answer in answers:
        event = stored[answer["answer"]["events"][0]["id"]]
        assert event.sale is not None
        assert (event.sale.gateway, event.sale.status) == (answer["gateway"], answer["kind"])


async def test_the_same_again_is_told_as_a_repeat_and_another_secret_is_refused(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = SendOptions(gateway="kirvano", order="D2RP8RQ7", data=stack)
    codes = [await asyncio.to_thread(send, wanted, Output(as_json=True)) for _ in range(2)]
    first, second = told(capsys)
    assert codes == [0, 0]
    assert [one["answer"]["events"][0]["duplicate"] for one in (first, second)] == [False, True]
    forged = SendOptions(gateway="stripe", secret="whsec_guessed", data=stack)
    assert await asyncio.to_thread(send, forged, Output(as_json=True)) == 1
    assert [one["status"] for one in told(capsys)] == [401]


async def test_what_cannot_be_sent_says_what_there_is(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Output(as_json=True)
    assert send(SendOptions(gateway="hotmart", integration="outra", data=stack), out) == 2
    assert "hotmart (hotmart, tenant loja)" in capsys.readouterr().err
    assert send(SendOptions(gateway="hotmart", files=[stack / "none.yaml"], data=stack), out) == 2
    assert "its key 'hottok'" in capsys.readouterr().err
    assert send(SendOptions(gateway="hotmart", data=stack / "nowhere"), out) == 2
    assert "--data" in capsys.readouterr().err
