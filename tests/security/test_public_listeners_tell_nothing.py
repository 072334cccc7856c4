"""Attack: nothing but a GET.

`/metrics` of ingest and API named every tenant and destination, `/readyz` what they need.

Before: both answered to anybody on the listener that a Service, an Ingress of `/` or a tunnel
publishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sinal_cli.data_folder import Instance
from sinal_cli.embedded.process import free_port
from sinal_cli.stack import Stack

from tests.support.platform import PUBLISHED, ROLES, running

ROOT = Path(__file__).parents[2]
EXAMPLES, GOLDEN = ROOT / "examples", ROOT / "tests" / "chart" / "golden"
SECRETIVE = ("/metrics", "/readyz", "/metrics/", "//metrics", "/t/loja/metrics", "/t/loja/readyz")


async def tells_nothing(client: httpx.AsyncClient, url: str) -> None:
    for path in SECRETIVE:
        for method in ("GET", "HEAD", "POST"):
            answer = await client.request(method, url + path)
            assert answer.status_code in (404, 405), f"{method} {url}{path}"
            assert "loja" not in answer.text and "sinal_" not in answer.text
    alive = await client.get(f"{url}/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})


async def test_roles_as_processes_tell_scrapers_alone(tmp_path: Path) -> None:
    async with running(tmp_path, [EXAMPLES]) as platform, httpx.AsyncClient(timeout=60) as client:
        for url in (platform.ingest, platform.api):
            await tells_nothing(client, url)
        for role in ROLES:
            await platform.roles[role].ready(lambda role=role: ready(client, platform.url(role)))  # type: ignore[misc]
            shown = (await client.get(f"{platform.url(role)}/metrics")).text
            assert f'role="{role}"' in shown
            assert (await client.get(f"{platform.url(role)}/healthz")).status_code == 200
        edge = (await client.get(f"{platform.url('ingest')}/readyz")).json()
        assert (edge["ready"], edge["nats"], edge["draining"]) == (True, True, False)
        api = (await client.get(f"{platform.url('api')}/readyz")).json()
        assert {name for name in api if api[name] is True} >= {
            "postgres",
            "migrations",
            "nats",
            "plans",
        }


async def ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


async def test_a_tunnel_to_a_laptop_tells_nothing_either(tmp_path: Path) -> None:
    with Instance(tmp_path / "data").opened() as instance:
        stack = Stack(instance, files=[EXAMPLES], ports=(free_port(), free_port(), free_port()))
        await stack.start()
        try:
            async with httpx.AsyncClient(timeout=60) as client:
                for listener in PUBLISHED:
                    await tells_nothing(client, stack.ready[listener])
                shown = (await client.get(f"{stack.ready['metrics']}/metrics")).text
                assert all(f'role="{role}"' in shown for role in ROLES if role != "operator")
                told = await client.get(f"{stack.ready['metrics']}/readyz")
                assert (told.status_code, told.json()["api"]["status"]) == (200, "ready")
        finally:
            await stack.stop()


def objects(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for page in sorted(GOLDEN.glob("*.yaml")):
        for one in yaml.safe_load_all(page.read_text()):
            if one and one["kind"] == kind:
                yield page.stem, one


@pytest.mark.parametrize("role", ROLES)
def test_probes_of_the_chart_ask_a_port_that_no_service_leads_to(role: str) -> None:
    found = 0
    for page, one in [*objects("Deployment"), *objects("StatefulSet")]:
        if one["metadata"]["labels"].get("app.kubernetes.io/component") != role:
            continue
        (container,) = one["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probes = [
            container[f"{name}Probe"]["httpGet"]["port"]
            for name in ("startup", "liveness", "readiness")
        ]
        assert probes == ["metrics"] * 3, page
        if role in PUBLISHED:
            assert ports == {"http": 8080, "metrics": 8081}
        found += 1
    assert found
    for page, service in objects("Service"):
        if service["spec"].get("selector", {}).get("app.kubernetes.io/component") == role:
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"], page
