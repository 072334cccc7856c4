"""The API server as the bench uses it: what is declared, and one watch a kind for readiness."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
from bench.operator.stage import NAMESPACE

from sinal_operator.cluster.resources import CUSTOM, Resource

from tests.cluster.support.api import Api, Manifest


def host(tenant: str, version: int = 0) -> str:
    """Landing host of a tenant's pages, another one for each version."""
    return f"v{version}.{tenant}.example"


def world(tenant: str) -> list[Manifest]:
    """A tenant with a funnel, a destination, an integration, and the Secret of both."""
    values = {"accessToken": f"token-{tenant}", "hottok": f"hottok-{tenant}"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    reference = {"name": tenant}
    meta = {"pixelId": "1234567890", "accessTokenSecretRef": reference}
    gateway = {"funnelRef": tenant, "gateway": "hotmart", "credentialsSecretRef": reference}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": tenant}, "data": data},
        _custom("Tenant", tenant, {}),
        _custom("Destination", tenant, {"tenantRef": tenant, "meta": meta}),
        funnel(tenant),
        _custom("GatewayIntegration", tenant, {"tenantRef": tenant, **gateway}),
    ]


def funnel(tenant: str, version: int = 0) -> Manifest:
    """The tenant's funnel, with the landing host of that version."""
    return _custom(
        "Funnel",
        tenant,
        {"tenantRef": tenant, "destinationRefs": [tenant], "landingHosts": [host(tenant, version)]},
    )


def _custom(kind: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": CUSTOM[kind].api_version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


class Cluster(Api):
    """A person's session, with an eye on readiness."""

    async def all_ready(self, each: int) -> None:
        """Return once so many objects of each kind are Ready as they stand."""
        await asyncio.gather(*(self._ready(resource, each) for resource in CUSTOM.values()))

    async def _ready(self, resource: Resource, wanted: int) -> None:
        ready: set[str] = set()
        query = {"watch": "1", "resourceVersion": "0"}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(
            resource.path(NAMESPACE), params=query, timeout=timeout
        ) as answer:
            async for line in _lines(answer.content):
                found = json.loads(line)["object"]
                name = found["metadata"]["name"]
                if _is_ready(found):
                    ready.add(name)
                else:
                    ready.discard(name)
                if len(ready) == wanted:
                    return


async def _lines(stream: aiohttp.StreamReader) -> Any:
    """Lines of any length."""
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line


def _is_ready(found: Manifest) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    state = next((one for one in conditions if one["type"] == "Ready"), {})
    return (
        state.get("status") == "True"
        and state.get("observedGeneration") == found["metadata"]["generation"]
    )
