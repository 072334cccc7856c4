"""The whole way from outside: a gateway posts to a host, Traefik takes the operator's routes, the
sale reaches Meta.

Traefik is real and reads the API server. No pods run here: ingest listens on the address of its own
Service, so that what Traefik sends there arrives without a kube-proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.abc
import pytest

from tests.cluster.support import shop
from tests.cluster.support.assets import gateway_api
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.traefik import Provider, TraefikProcess
from tests.cluster.support.waiting import eventually, until
from tests.support.load import hotmart_sale
from tests.support.platform import Platform

ADDRESS = "127.42.0.42"  # of ingest's Service
TRACK = "track.loja.example"


class Everywhere(aiohttp.abc.AbstractResolver):
    """DNS in which every host is Traefik."""

    async def resolve(
        self, host: str, port: int = 0, family: Any = None
    ) -> list[aiohttp.abc.ResolveResult]:
        found = {
            "hostname": host,
            "host": "127.0.0.1",
            "port": port,
            "family": 2,
            "proto": 0,
            "flags": 0,
        }
        return [aiohttp.abc.ResolveResult(**found)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Edge:
    """Everything that a sale passes."""

    platform: Platform
    traefik: TraefikProcess
    house: Kubectl
    session: aiohttp.ClientSession

    def at(self, host: str, path: str) -> str:
        """A URL through Traefik."""
        return f"http://{host}:{self.traefik.port}{path}"

    async def post(self, url: str, transaction: str, *, proof: str = "hottok-1") -> int:
        """A gateway's sale; the status of the answer."""
        sale = hotmart_sale(transaction)
        headers = {"X-HOTMART-HOTTOK": proof, "Content-Type": "application/json"}
        async with self.session.post(url, data=sale, headers=headers) as answer:
            return answer.status

    async def get(self, url: str) -> int:
        """The status of a GET."""
        async with self.session.get(url) as answer:
            return answer.status

    async def arrived(self, purchases: int) -> list[dict[str, Any]]:
        """Purchases that Meta's sandbox has, once there are so many."""
        found: list[dict[str, Any]] = []

        async def enough() -> bool:
            url = f"{self.platform.sandbox_url}/_sandbox/events"
            async with self.session.get(url, params={"pixel": "12345678"}) as answer:
                events = [item["event"] for item in (await answer.json())["events"]]
            found[:] = [event for event in events if event["event_name"] == "Purchase"]
            return len(found) >= purchases

        await eventually(enough, timeout_s=120)
        return found


@asynccontextmanager
async def edge(
    control_plane: ControlPlane, kubectl: Kubectl, folder: Path, provider: Provider, **settings: str
) -> AsyncIterator[Edge]:
    """All roles, Traefik with that provider, and ingest's Service in a namespace of Sinal."""
    house = kubectl.in_namespace(f"{kubectl.namespace}-sinal")
    house.do("create", "namespace", house.namespace)
    traefik = TraefikProcess(folder, kubeconfig=control_plane.kubeconfig, provider=provider)
    environment = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SINAL_PUBLIC_URL": f"http://in.example:{traefik.port}",
        "SINAL_ROUTES_NAMESPACE": house.namespace,
        **settings,
    }
    platform = Platform(
        folder / "platform", manifests=[], settings=environment, ingest_host=ADDRESS
    )
    port = platform.ports["ingest"]
    environment["SINAL_ROUTES_SERVICE_PORT"] = str(port)
    spec = {"clusterIP": ADDRESS, "ports": [{"port": port}]}
    house.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sinal-ingest"}, "spec": spec}
    )
    async with AsyncExitStack() as stack:
        stack.callback(house.run, "delete", "service,ingress", "--all")
        stack.push_async_callback(platform.stop)
        await platform.start()
        stack.callback(traefik.stop)
        traefik.start()
        connector = aiohttp.TCPConnector(resolver=Everywhere())
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Edge(platform, traefik, house, session)


@pytest.fixture
def gateway_api_installed(kubectl: Kubectl) -> Iterator[Any]:
    """Installs the Gateway API when it is called; it is gone after the test."""
    everywhere = kubectl.in_namespace("")

    def install() -> None:
        everywhere.do("apply", "--server-side", "-f", str(gateway_api()))
        everywhere.do(
            "wait", "crd/httproutes.gateway.networking.k8s.io", "--for=condition=Established"
        )

    yield install
    everywhere.run("delete", "-f", str(gateway_api()), "--ignore-not-found")


def loja(**spec: Any) -> dict[str, Any]:
    """The shop with a host of its own."""
    parts = shop.shop()
    tenant = shop.tenant(ingest={"hosts": [TRACK]}, **spec)
    return {
        **parts,
        "items": [tenant if one["kind"] == "Tenant" else one for one in parts["items"]],
    }


async def sells_at_both_doors(edge: Edge, kubectl: Kubectl) -> None:
    """A sale to the URL in status, one to the tenant's own host without a token, and none without
    proof.
    """
    url = kubectl.get("gwi", "vendas")["status"]["webhookURL"]
    assert url.startswith(f"http://in.example:{edge.traefik.port}/t/loja/api/v1/webhooks/hotmart/")
    own = edge.at(TRACK, "/api/v1/webhooks/hotmart")

    async def routed() -> bool:
        script = f"/s.js?f={kubectl.get('funnel', 'curso')['status']['publicKey']}"
        return await edge.get(edge.at(TRACK, script)) == 200 and await edge.get(url) == 200

    await eventually(routed, timeout_s=120)
    assert await edge.post(url, "HP1000000001") == 202
    assert await edge.post(own, "HP1000000002") == 202
    assert await edge.post(url, "HP1000000003", proof="wrong") == 401
    assert await edge.post(own, "HP1000000003", proof="wrong") == 401
    assert len({event["event_id"] for event in await edge.arrived(2)}) == 2
    for path in ("/metrics", "/readyz", "/"):
        assert await edge.get(edge.at(TRACK, path)) == 404
    assert await edge.get(edge.at("in.example", "/t/loja2/s.js")) == 404


async def routed_status(edge: Edge, url: str, status: int) -> None:
    """Wait until Traefik has it so."""

    async def so() -> bool:
        return await edge.get(url) == status

    await eventually(so, timeout_s=120)


async def test_sales_arrive_through_ingresses_and_nothing_is_routed_that_is_gone(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    async with edge(
        control_plane, kubectl, tmp_path, "kubernetesingress", SINAL_ROUTES="ingress"
    ) as there:
        kubectl.apply(loja())
        kubectl.wait("gwi", "vendas", timeout_s=120)
        kubectl.wait("tenant", "loja", condition="RoutesAccepted")
        await sells_at_both_doors(there, kubectl)

        key = kubectl.get("funnel", "curso")["status"]["publicKey"]
        own, shared = (
            there.at(TRACK, f"/s.js?f={key}"),
            there.at("in.example", f"/t/loja/s.js?f={key}"),
        )
        there.house.do("delete", "ingress", "--all")
        await asyncio.sleep(1)
        await routed_status(there, own, 200)
        kubectl.apply(shop.tenant(ingest={"hosts": ["go.loja.example"]}))
        await routed_status(there, there.at("go.loja.example", f"/s.js?f={key}"), 200)
        await routed_status(there, own, 404)
        assert await there.get(shared) == 200
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        await routed_status(there, shared, 404)
        assert there.house.list("ingress") == []


async def test_sales_arrive_through_a_gateway_which_says_so(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    tmp_path: Path,
    gateway_api_installed: Callable[[], None],
) -> None:
    settings = {"SINAL_ROUTES": "gateway", "SINAL_GATEWAY": f"{kubectl.namespace}/public"}
    async with edge(control_plane, kubectl, tmp_path, "kubernetesgateway", **settings) as there:
        kubectl.apply(loja())
        becomes(kubectl, "False", "GatewayAPIMissing")
        gateway_api_installed()
        becomes(kubectl, "Unknown", "RoutesPending")
        assert kubectl.condition("tenant", "loja")["status"] == "Unknown"
        kubectl.apply(gateway_class(), gateway(there.traefik.port, hostname="*.example"))
        there.traefik.stop()
        there.traefik.start()  # it looks for the definitions when it starts
        becomes(kubectl, "True", "RoutesAcceptedByGateway")
        kubectl.wait("tenant", "loja", timeout_s=120)
        kubectl.wait("gwi", "vendas")
        await sells_at_both_doors(there, kubectl)

        kubectl.apply(gateway(there.traefik.port, hostname="in.example"))
        message = becomes(kubectl, "False", "GatewayRefused")
        assert f"refuses HTTPRoute {there.house.namespace}/sinal-h-{TRACK}" in message
        kubectl.do("delete", "tenant", "loja", "--timeout=120s")
        until(lambda: there.house.list("httproute") == [])


def becomes(kubectl: Kubectl, status: str, reason: str) -> str:
    """Wait until RoutesAccepted is so; its message."""

    def so() -> str:
        found = kubectl.condition("tenant", "loja", "RoutesAccepted")
        return (
            str(found["message"])
            if (found.get("status"), found.get("reason")) == (status, reason)
            else ""
        )

    try:
        return until(so, timeout_s=120)
    except TimeoutError as error:
        raise TimeoutError(
            f"it is {kubectl.condition('tenant', 'loja', 'RoutesAccepted')}"
        ) from error


def gateway_class() -> dict[str, Any]:
    """The class that Traefik serves."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "traefik"},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }


def gateway(port: int, *, hostname: str) -> dict[str, Any]:
    """A Gateway with one listener that takes routes of all namespaces."""
    allowed = {"namespaces": {"from": "All"}}
    listener = {
        "name": "web",
        "protocol": "HTTP",
        "port": port,
        "hostname": hostname,
        "allowedRoutes": allowed,
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
    }
