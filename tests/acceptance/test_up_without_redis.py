"""A machine without any Redis: the stack runs, keeps its limits per process, and says so in one
line.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sinal_cli.data_folder import Instance
from sinal_cli.embedded import redis
from sinal_cli.embedded.process import free_port
from sinal_cli.stack import Stack

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_a_visit_is_accepted_and_every_role_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "program", lambda: None)
    said: list[str] = []
    with Instance(tmp_path / "data").opened() as instance:
        ports = (free_port(), free_port(), free_port())
        stack = Stack(
            instance,
            files=[EXAMPLES],
            ports=ports,
            say=lambda word, text: said.append(f"{word} {text}"),
        )
        await stack.start()
        try:
            keys = stack.ready["tenants"]["loja"]["funnels"]["curso"]
            async with httpx.AsyncClient(timeout=60) as client:
                answer = await client.post(
                    f"{stack.ready['ingest']}/t/loja/api/v1/track/pageview",
                    headers={"Authorization": f"Bearer {keys['server_key']}"},
                    json={
                        "funnel": keys["public_key"],
                        "url": "https://loja.example/",
                        "client": {"ip": "177.10.20.30", "user_agent": "Mozilla/5.0 (test)"},
                    },
                )
                ready = await client.get(f"{stack.ready['metrics']}/readyz")
        finally:
            await stack.stop()
    assert answer.status_code == 202, answer.text
    assert ready.status_code == 200, ready.text
    assert (ready.json()["api"]["status"], "redis" in ready.json()["api"]) == ("ready", False)
    assert [line for line in said if line.startswith("problem Redis")] == [
        "problem Redis is missing (valkey-server or redis-server on the PATH): rate limits are "
        "kept per process"
    ]
