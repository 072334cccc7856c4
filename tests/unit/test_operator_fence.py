"""An operator whose term may be over sends nothing that changes anything, whatever it was about to
do.
"""

from __future__ import annotations

from typing import Any

import pytest

from sinal_core.nats.errors import BusUnavailable
from sinal_operator.cluster.client import ApiServerClient, ApiServerUnreachable
from sinal_operator.cluster.resources import CUSTOM
from sinal_operator.provision.jetstream import FencedJetStream


class Open(ApiServerClient):
    """Has a session that would be used, and counts."""

    sent = 0

    async def _connected(self, *, instead_of: Any = None) -> Any:
        return object()

    async def _exchange(
        self, session: Any, method: str, path: str, query: Any, body: Any, content: str
    ) -> Any:
        self.sent += 1
        return {}


class Connected:
    """Of a NATS client, what is looked at."""

    is_connected = True


async def test_the_api_server_gets_reads_only() -> None:
    client = Open(allowed=lambda: False)
    tenants = CUSTOM["Tenant"]
    assert await client.get(tenants, "default", "loja") == {}
    for work in (
        client.patch_status(tenants, "default", "loja", {}, version=1),
        client.post_event("default", {}),
        client.replace(tenants, "default", "loja", {}),
    ):
        with pytest.raises(ApiServerUnreachable, match="another operator may lead"):
            await work
    assert client.sent == 1


async def test_nats_gets_nothing() -> None:
    jetstream = FencedJetStream(Connected(), allowed=lambda: False)  # type: ignore[arg-type]
    with pytest.raises(BusUnavailable, match="another operator may lead"):
        await jetstream.create_stream({"name": "T-loja"})
    with pytest.raises(BusUnavailable, match="another operator may lead"):
        await jetstream.store("$KV.sinal_plans.loja", b"")
