"""`sinal up` with `--graph-url` and `--public-url`: events go there, and webhook URLs begin with
the public name.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sinal_cli.embedded.process import free_port
from sinal_cli.embedded.sandbox import SandboxService

EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLIC = "https://track.loja.example"
WAIT_S = 120


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[str]:
    """A Graph API that the stack did not start."""
    sandbox = SandboxService(tmp_path / "graph.jsonl", port=free_port(), log=tmp_path / "graph.log")
    asyncio.run(sandbox.start())
    yield sandbox.url
    asyncio.run(sandbox.stop())


@pytest.fixture
def ready(tmp_path: Path, graph: str) -> Iterator[dict[str, Any]]:
    """A running stack that sends there, as its ready file tells of it."""
    file, output = tmp_path / "ready.json", tmp_path / "output.txt"
    words = ["--file", str(EXAMPLES), "--data", str(tmp_path / "data"), "--ready-file", str(file)]
    with output.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sinal_cli",
                "up",
                *words,
                "--graph-url",
                graph,
                "--public-url",
                f"{PUBLIC}/",
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + WAIT_S
    while not file.exists():
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    yield json.loads(file.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_events_arrive_there_and_urls_begin_with_the_public_name(
    tmp_path: Path, graph: str, ready: dict[str, Any]
) -> None:
    assert "sandbox" not in ready
    tenant = ready["tenants"]["loja"]
    urls = [hook["url"] for hook in tenant["webhooks"].values()]
    assert urls and all(url.startswith(f"{PUBLIC}/t/loja/api/v1/webhooks/") for url in urls)
    assert (
        f"WEBHOOK_URL_HOTMART={tenant['webhooks']['hotmart']['url']}"
        in (tmp_path / "data" / "env").read_text()
    )

    through_a_tunnel = ready["ingest"] + urlsplit(tenant["webhooks"]["hotmart"]["url"]).path
    refused = httpx.post(
        through_a_tunnel, headers={"Host": "track.loja.example"}, json={"id": "x"}, timeout=30
    )
    # it is that integration's door, and this delivery has no proof
    assert refused.status_code == 401

    keys = tenant["funnels"]["curso"]
    body = {
        "funnel": keys["public_key"],
        "url": "https://loja.example/",
        "client": {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0 (test)"},
    }
    authorization = {"Authorization": f"Bearer {keys['server_key']}"}
    answer = httpx.post(
        f"{ready['ingest']}/t/loja/api/v1/track/pageview",
        headers=authorization,
        json=body,
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    event = answer.json()["events"][0]["event_id"]
    deadline = time.monotonic() + WAIT_S
    while not httpx.get(f"{graph}/_sandbox/events", params={"event_id": event}, timeout=30).json()[
        "events"
    ]:
        assert time.monotonic() < deadline, "the event did not arrive at the Graph API"
        time.sleep(0.1)
