"""What a running `sinal up` tells of changes and of its services, on its terminal and in its
files.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT_S = 120
T = TypeVar("T")
SERVICES = {
    "PostgreSQL": "postgres",
    "NATS": "nats-server",
    "Redis": "-server",
    "the Meta sandbox": "sinal_sandbox",
}
HOOK = """
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: kirvano}
spec: {tenantRef: loja, gateway: kirvano, funnelRef: curso, credentialsSecretRef: {name: kirvano}}
---
apiVersion: v1
kind: Secret
metadata: {name: kirvano}
stringData: {token: a-kirvano-token-of-the-test}
"""


def eventually(look: Callable[[], T], what: str) -> T:
    """The first true thing that is seen."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(what)


class Stack:
    """A `sinal up` over manifests of its own."""

    def __init__(self, folder: Path) -> None:
        self.data, self.manifests = folder / "data", folder / "manifests"
        shutil.copytree(EXAMPLES, self.manifests)
        self._output = folder / "output.txt"
        words = ["up", "--file", str(self.manifests), "--data", str(self.data), "--grace", "20"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sinal_cli", *words], stdout=output, stderr=subprocess.STDOUT
            )
        eventually(lambda: "sinal events list" in self.said, "it is up")

    @property
    def said(self) -> str:
        return self._output.read_text()

    def told(self, words: str, *, times: int = 1) -> None:
        """Wait until it says so."""
        eventually(lambda: self.said.count(words) >= times, f"{words!r} in:\n{self.said}")

    @property
    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "ready.json").read_text())
        return found

    def status(self, kind: str, name: str) -> dict[str, Any]:
        """What is said of an object."""
        items = json.loads((self.data / "status.json").read_text())["items"]
        found = [
            one["status"] for one in items if (one["kind"], one["metadata"]["name"]) == (kind, name)
        ]
        return found[0] if found else {}

    def condition(self, kind: str, name: str, type: str) -> str:
        conditions = self.status(kind, name).get("conditions", [])
        return next((str(one["status"]) for one in conditions if one["type"] == type), "")

    def change(self, old: str, new: str) -> None:
        """Edit the shop's manifests."""
        file = self.manifests / "loja.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def visit(self) -> str:
        """Post a page view; its id."""
        keys = self.ready["tenants"]["loja"]["funnels"]["curso"]
        answer = httpx.post(
            f"{self.ready['ingest']}/t/loja/api/v1/track/pageview",
            headers={"Authorization": f"Bearer {keys['server_key']}"},
            json={
                "funnel": keys["public_key"],
                "url": "https://loja.example/",
                "client": {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0 (test)"},
            },
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["events"][0]["id"])

    def delivered(self, event: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(
                f"{self.ready['api']}/api/v1/events/{event}",
                headers={"Authorization": f"Bearer {self.ready['admin_key']}"},
                timeout=30,
            )
            return answer.status_code == 200 and bool(
                answer.json()["outcome"]["state"] == "delivered"
            )
        return False

    def child(self, words: str) -> int:
        """The process of a service."""
        pids = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )
        return next(
            int(pid) for pid in pids if words.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = Stack(tmp_path)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.stop()


def test_what_changes_is_told_and_statuses_say_the_same(stack: Stack) -> None:
    assert stack.condition("Tenant", "loja", "Ready") == "True"
    assert (
        stack.status("GatewayIntegration", "hotmart")["webhookURL"]
        == stack.ready["tenants"]["loja"]["webhooks"]["hotmart"]["url"]
    )
    assert (stack.data / "status.json").stat().st_mode & 0o077 == 0

    stack.change(
        "spec:\n  tenantRef: loja\n  type: Perpetual",
        "spec:\n  slag: x\n  tenantRef: loja\n  type: Perpetual",
    )
    stack.told("spec.slag: unknown field")
    stack.change("  slag: x\n", "")
    stack.told("mended    the manifests can be read again")
    stack.change("maxAgeMillis: 200", "maxAgeMillis: 300")
    stack.told("applied   Destination pixel-principal (batch.maxAgeMillis 200 → 300)")

    (stack.manifests / "kirvano.yaml").write_text(HOOK)
    stack.told("added     GatewayIntegration kirvano")
    url = eventually(
        lambda: stack.ready["tenants"]["loja"]["webhooks"].get("kirvano", {}).get("url"),
        "it has a URL",
    )
    stack.told(url)
    assert url in (stack.data / "env").read_text()
    assert stack.status("GatewayIntegration", "kirvano")["webhookURL"] == url
    assert httpx.post(url, json={"no": "event"}, timeout=30).status_code == 202
    stack.told("kept      delivery of kirvano to loja")
    signed = stack.ready["tenants"]["loja"]["webhooks"]["hotmart"]["url"]
    for _ in range(3):
        assert (
            httpx.post(
                signed, json={}, headers={"x-hotmart-hottok": "wrong"}, timeout=30
            ).status_code
            == 401
        )
    stack.told("refused   delivery of hotmart to loja/hotmart")
    assert stack.said.count("refused   delivery") == 1
    (stack.manifests / "kirvano.yaml").unlink()
    stack.told("removed   GatewayIntegration kirvano")

    away = stack.data / "away.yaml"
    (stack.manifests / "loja.yaml").rename(away)
    stack.told("leaving   Tenant loja: its manifest is gone; in 20 s its webhooks end.")
    stack.visit()
    away.rename(stack.manifests / "loja.yaml")
    stack.told("stayed    Tenant loja")
    assert "removed   Tenant" not in stack.said
    (stack.manifests / "loja.yaml").rename(away)
    stack.told("ended     Tenant loja: its webhooks answer 404 from now on")

    assert stack.stop() == 0
    stack.told("stopped   the data stays in")
    assert not (stack.data / "status.json").exists()
    assert "Traceback" not in stack.said


def test_a_service_that_is_killed_is_named_and_started_again_and_nothing_is_lost(
    stack: Stack,
) -> None:
    events = []
    for name, words in SERVICES.items():
        pid = stack.child(words)
        os.kill(pid, signal.SIGKILL)
        events += [stack.visit()]
        stack.told(f"restarted {name} (pid {pid}) ended by signal 9: started again")
    for event in events:
        eventually(partial(stack.delivered, event), f"{event} is delivered")
    noise = [
        line
        for line in stack.said.splitlines()
        if "psycopg" in line or "nats." in line or "Traceback" in line
    ]
    assert noise == []
