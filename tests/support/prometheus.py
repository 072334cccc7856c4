"""A real Prometheus as a process that scrapes given addresses every second, with the shipped rules
in a hurry.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from sinal_cli.embedded.process import Service, free_port

from dashboards import files
from tests.support.panels import Asked

Sample = dict[str, Any]


class Prometheus:
    """Started over a folder; `targets` are host:port."""

    def __init__(self, program: str, folder: Path, targets: Sequence[str]) -> None:
        self._port = free_port()
        folder.mkdir(parents=True)
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(targets, _hurried(folder))))
        arguments = [
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        self._service = Service("Prometheus", [program, *arguments], log=folder / "prometheus.log")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start and wait until it answers queries."""
        self._service.spawn()
        await self._service.ready(self._ready)

    async def _ready(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.url}/-/ready") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self) -> None:
        """Stop it."""
        await self._service.stop()

    async def ask(self, session: aiohttp.ClientSession, query: str) -> list[Sample]:
        """Samples of an instant query that are numbers.

        Raises AssertionError with Prometheus's words on an error.
        """
        async with session.post(f"{self.url}/api/v1/query", data={"query": query}) as answer:
            document = json.loads(await answer.text())
        assert document["status"] == "success", f"{query}: {document}"
        return [
            sample
            for sample in document["data"]["result"]
            if not math.isnan(float(sample["value"][1]))
        ]

    async def until(
        self, session: aiohttp.ClientSession, query: str, *, within_s: float = 200
    ) -> None:
        """Wait until a query has data; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not await self.ask(session, query):
                await asyncio.sleep(0.25)

    async def ask_range(
        self, session: aiohttp.ClientSession, query: str, *, seconds: int, step: int
    ) -> list[Sample]:
        """Series of the last seconds."""
        now = time.time()
        data = {"query": query, "start": str(now - seconds), "end": str(now), "step": str(step)}
        async with session.post(f"{self.url}/api/v1/query_range", data=data) as answer:
            document = json.loads(await answer.text())
        assert document["status"] == "success", f"{query}: {document}"
        found: list[Sample] = document["data"]["result"]
        return found


class Seen:
    """Which queries have had data at some time: each has to have it once."""

    def __init__(
        self, prometheus: Prometheus, session: aiohttp.ClientSession, queries: Sequence[Asked]
    ) -> None:
        self._prometheus, self._session = prometheus, session
        self._left = list(queries)

    async def all_with(self, word: str = "", *, but: str = "-", within_s: float = 200) -> None:
        """Wait for every query that has a word in it, but for some.

        Raises AssertionError with those without data.
        """
        deadline = time.monotonic() + within_s
        while missing := [one for one in self._left if word in one.query and but not in one.query]:
            assert time.monotonic() < deadline, "\n".join(map(str, missing))
            await asyncio.sleep(0.5)
            self._left = [
                one
                for one in self._left
                if not await self._prometheus.ask(self._session, one.query)
            ]


def _config(targets: Sequence[str], rules: Sequence[Path]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": "sinal", "static_configs": [{"targets": list(targets)}]}],
    }


def _hurried(folder: Path) -> list[Path]:
    """The shipped rules, looked at every second, and alerts that need not last."""
    copies = []
    for path in sorted((files.ROOT / files.RULES).glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.pop("for", None)
        copy = folder / path.name
        copy.write_text(yaml.safe_dump(document, width=1000))
        copies.append(copy)
    return copies
