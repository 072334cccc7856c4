"""`kubectl sinal` as a person uses it: kubectl finds it, a real API server tells of objects, a real
API role of events.

There is no kubelet here, so a port-forward ends nowhere; in its place a stand-in for kubectl relays
to the API's port, says what kubectl says, and hands every other word to kubectl.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.plugin import SCRIPTS, Plugin
from tests.support.load import hotmart_sale
from tests.support.platform import ADMIN_KEY, Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
ORDER = "HP0000000001"

RELAY = """#!{python}
import asyncio, os, sys
if "port-forward" not in sys.argv:
    os.execv({kubectl!r}, [{kubectl!r}, *sys.argv[1:]])
open({pid!r}, "w").write(" ".join([str(os.getpid()), *sys.argv[1:]]))

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def relay(reader, writer):
    print("Handling connection for 0", flush=True)
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", {port})
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    print(f"Forwarding from 127.0.0.1:{{server.sockets[0].getsockname()[1]}} -> 8080", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
async def shop(platform: Platform, kubectl: Kubectl) -> Platform:
    """The platform with the examples applied and ready, and one sale delivered."""
    kubectl.apply(EXAMPLES)
    for kind in ("tenants", "destinations", "funnels", "gatewayintegrations"):
        kubectl.wait(kind, timeout_s=120)
    await _sell(platform, kubectl.get("gwi", "hotmart")["status"]["webhookURL"])
    return platform


async def _sell(platform: Platform, url: str) -> None:
    sale = hotmart_sale(ORDER)
    headers = {"X-HOTMART-HOTTOK": "demo-hottok", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data=sale, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        await platform.settled(session, accepted=1)


@pytest.fixture
def order() -> str:
    """The order's number as the gateway says it."""
    return ORDER


def _chart(kubectl: Kubectl, name: str = "sinal-api") -> None:
    """The Service and the Secret as the chart has them."""
    labels = {"app.kubernetes.io/name": "sinal", "app.kubernetes.io/component": "api"}
    spec: Mapping[str, Any] = {"ports": [{"name": "http", "port": 8080}]}
    metadata = {"name": name, "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    kubectl.do(
        "create", "secret", "generic", "sinal-admin", f"--from-literal=admin-key={ADMIN_KEY}"
    )


async def test_a_person_finds_out_what_became_of_an_order(
    shop: Platform, control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path, order: str
) -> None:
    sinal = Plugin(control_plane.kubeconfig, f"{SCRIPTS}:{os.environ['PATH']}")
    here = ("-n", kubectl.namespace)
    api = ("--api", shop.api, "--key", ADMIN_KEY)

    rows = sinal.lines("status", *here)
    assert {row["ready"] for row in rows} == {"True"}, rows
    assert (rows[0]["kind"], rows[0]["name"]) == ("Tenant", "loja")
    assert {row["kind"] for row in rows} == {
        "Tenant",
        "Destination",
        "Funnel",
        "GatewayIntegration",
    }
    everywhere = sinal.lines("status", "-A")
    assert [row["name"] for row in everywhere if row["namespace"] == kubectl.namespace] == [
        row["name"] for row in rows
    ]
    assert sinal("status", "-n", "nobody-is-here")[0] == 0
    code, _, err = sinal("status", "--context", "elsewhere")
    assert code == 2 and "elsewhere" in err and "Traceback" not in err

    code, told, err = sinal("explain", order, *api)
    assert code == 0, err
    assert f"Order {order} of tenant loja" in told and "So it was delivered." in told
    (event,) = sinal.lines("explain", order, "--json", *api)
    assert sinal.lines("events", "show", event["id"], *api) == [event]
    (replayed,) = sinal.lines("replay", event["id"], "--dry-run", "--force", *api)
    assert replayed["dry_run"] and replayed["matched"] == len(event["deliveries"])
    code, told, err = sinal("explain", "HP0", *api)
    assert (code, err) == (1, "") and "No event of an order HP0 is known." in told

    code, _, err = sinal("explain", order)
    assert code == 2 and "--service" in err

    _chart(kubectl)
    relayed = _relay(tmp_path, control_plane, urlsplit(shop.api).port or 0)
    code, told, err = relayed("explain", order)
    assert code == 0 and "So it was delivered." in told, err
    words, alive = _relayed(tmp_path)
    assert {
        "port-forward",
        "service/sinal-api",
        ":http",
        f"--namespace={kubectl.namespace}",
    } <= words
    assert not alive
    findings = relayed.lines("doctor", "--service", f"{kubectl.namespace}/sinal-api")
    assert {one["grade"] for one in findings} == {"ok"}, findings
    code, _, err = relayed(
        "doctor", "--key-secret", f"{kubectl.namespace}/sinal-admin", "--key-name", "other"
    )
    assert code == 2 and "other" in err


def _relay(tmp_path: Path, control_plane: ControlPlane, port: int) -> Plugin:
    """The plugin before a stand-in for kubectl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    standin = folder / "kubectl"
    pid = str(tmp_path / "relay.pid")
    standin.write_text(
        RELAY.format(python=sys.executable, kubectl=f"{SCRIPTS}/kubectl", pid=pid, port=port)
    )
    standin.chmod(0o755)
    return Plugin(control_plane.kubeconfig, f"{folder}:{SCRIPTS}:{os.environ['PATH']}")


def _relayed(tmp_path: Path) -> tuple[set[str], bool]:
    """What the stand-in was asked, and whether it still lives."""
    pid, *words = (tmp_path / "relay.pid").read_text().split()
    return set(words), Path(f"/proc/{pid}").exists()


def test_what_is_not_ready_is_an_exit_code(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    """Without an operator nothing is ready, and the API server says so from the first moment."""
    kubectl.apply(EXAMPLES)
    sinal = Plugin(control_plane.kubeconfig, f"{SCRIPTS}:{os.environ['PATH']}")
    rows = sinal.lines("status", "-n", kubectl.namespace, code=1)
    assert {(row["ready"], row["reason"]) for row in rows} == {("Unknown", "Pending")}
