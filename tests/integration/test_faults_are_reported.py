"""Roles as processes of their own, a receiver of faults, and faults."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sinal_cli.embedded.process import Service, free_port
from sinal_core.telemetry.faults import MOST

from tests.support import canaries
from tests.support.error_receiver import HANGS, OK, Receiver, receiving
from tests.support.eventually import eventually
from tests.support.platform import ROLES, Platform

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "developers" / "adding-a-gateway.md").read_text(encoding="utf-8")
SHOP = ROOT / "tests" / "support" / "manifests" / "shop.yaml"
_, _, SECTION = PAGE.partition("## In a package of your own")
SECRET = """
---
apiVersion: v1
kind: Secret
metadata: {name: acmepay}
stringData: {token: s3cret}
"""
PERSON = canaries.Person.of("reported")
# A process that is told SIGUSR1 has a fault, wherever it is.
ON_SIGNAL = """
import logging, signal
def fail(*_):
    try:
        raise RuntimeError("on signal")
    except RuntimeError:
        logging.getLogger("sinal_test").exception("test.fault")
signal.signal(signal.SIGUSR1, fail)
"""


def block(language: str) -> str:
    """Code of the page about packages."""
    return SECTION.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A gateway of another package that quotes a person in its fault."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "acmepay_sinal.py").write_text(
        f"{block('python')}\n\ndef parse(raw: bytes, **_: object) -> list[Sale]:\n"
        "    raise KeyError(raw.decode())\n"
    )
    info = folder / "acmepay_sinal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acmepay-sinal\nVersion: 1.0\n")
    points = tomllib.loads(block("toml"))["project"]["entry-points"]["sinal.gateways"]
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    (info / "entry_points.txt").write_text("[sinal.gateways]\n" + "".join(lines))
    (folder / "sitecustomize.py").write_text(ON_SIGNAL)
    return folder


@asynccontextmanager
async def reporting(
    folder: Path, site: Path, receiver: Receiver, roles: tuple[str, ...]
) -> AsyncIterator[Platform]:
    manifest = folder / "acmepay.yaml"
    manifest.write_text(block("yaml") + SECRET)
    settings = {"PYTHONPATH": str(site), "SINAL_ERROR_REPORTS_DSN": receiver.dsn}
    platform = Platform(folder / "stack", [SHOP, manifest], settings=settings, roles=roles)
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()


async def post_faulty(session: aiohttp.ClientSession, url: str) -> None:
    """A delivery that costs the gateway's adapter a fault, and its sender nothing."""
    body = {"name": PERSON.name, "email": PERSON.email, "cpf": PERSON.cpf}
    async with session.post(url, json=body, headers={"X-Acme-Token": "s3cret"}) as answer:
        assert answer.status == 202, await answer.text()


async def test_a_fault_in_any_role_arrives_with_its_tags(tmp_path: Path, site: Path) -> None:
    with receiving(OK) as receiver:
        async with (
            reporting(tmp_path, site, receiver, ROLES) as platform,
            aiohttp.ClientSession() as session,
        ):
            await post_faulty(session, platform.webhook("loja", "acmepay"))
            port = str(free_port())
            adapter = Service(
                "metrics-adapter",
                [sys.executable, "-m", "sinal_cli", "run", "metrics-adapter"],
                log=tmp_path / "adapter.log",
                env={
                    **os.environ,
                    "PYTHONPATH": str(site),
                    "SINAL_ERROR_REPORTS_DSN": receiver.dsn,
                    "SINAL_NATS_URL": platform.nats.url,
                    "SINAL_PORT": port,
                    "SINAL_ADAPTER_EXTERNAL_METRICS": "false",
                },
            )
            adapter.spawn()
            try:
                started = (tmp_path / "adapter.log").read_text
                await eventually(lambda: "role.started" in started())
                services = {**platform.roles, "metrics-adapter": adapter}
                for role, service in services.items():
                    log = tmp_path / "adapter.log"
                    if role != "metrics-adapter":
                        log = platform.folder / "logs" / f"{role}.log"
                    await eventually(lambda log=log: "role.started" in log.read_text())  # type: ignore[misc]
                    os.kill(service.pid, signal.SIGUSR1)
                await eventually(lambda: len(receiver.tags("test.fault")) == len(services))
            finally:
                await adapter.stop()
    assert sorted(tags["role"] for tags in receiver.tags("test.fault")) == sorted(services)
    assert receiver.tags("webhook.adapter_fault") == [{"role": "ingest", "tenant": "loja"}]
    wanted = canaries.needles([PERSON.email, PERSON.name, PERSON.cpf, "s3cret"])
    assert canaries.leaks(b"".join(receiver.raw), wanted) == []
    logs = b"".join(path.read_bytes() for path in (platform.folder / "logs").iterdir())
    assert receiver.dsn.encode() not in logs


def test_a_fault_of_a_job_arrives_before_it_ends(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("def new_event_loop():\n    raise RuntimeError('quoted')\n")
    with receiving(OK) as receiver:
        job = subprocess.run(
            [sys.executable, "-m", "sinal_cli", "migrate"],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "SINAL_ERROR_REPORTS_DSN": receiver.dsn,
            },
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert job.returncode != 0 and b"RuntimeError" in job.stderr
    assert receiver.tags("cli.fault") == [{"role": "migrate"}]


def test_a_refusal_of_a_job_is_not_reported(tmp_path: Path) -> None:
    with receiving(OK) as receiver:
        job = subprocess.run(
            [sys.executable, "-m", "sinal_cli", "migrate"],
            env={
                **os.environ,
                "SINAL_DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/sinal",
                "SINAL_ERROR_REPORTS_DSN": receiver.dsn,
            },
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert job.returncode == 1 and receiver.events == []


def test_an_address_that_can_not_be_meant_ends_the_role_unshown() -> None:
    role = subprocess.run(
        [sys.executable, "-m", "sinal_cli", "run", "match"],
        env={**os.environ, "SINAL_ERROR_REPORTS_DSN": "https://hiddenkey@sentry.example/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert role.returncode == 2
    assert "SINAL_ERROR_REPORTS_DSN" in role.stderr and "hiddenkey" not in role.stderr


@pytest.mark.parametrize("status", [HANGS, 429, 500], ids=["hangs", "429", "500"])
async def test_a_receiver_in_trouble_does_not_slow_the_edge(
    tmp_path: Path, site: Path, status: int
) -> None:
    with receiving(status) as receiver:
        async with (
            reporting(tmp_path, site, receiver, ("operator", "ingest")) as platform,
            aiohttp.ClientSession() as session,
        ):
            url = platform.webhook("loja", "acmepay")
            await post_faulty(session, url)
            await eventually(lambda: len(receiver.raw) > 0)
            # the SDK gives a receiver 30 s: ten answers that waited for it would take 300
            async with asyncio.timeout(150):
                for _ in range(10):
                    await asyncio.gather(*(post_faulty(session, url) for _ in range(20)))
            ingest = platform.roles["ingest"]
            os.kill(ingest.pid, signal.SIGUSR1)
            began = time.monotonic()
            os.kill(ingest.pid, signal.SIGTERM)
            await eventually(lambda: not ingest.running)
            assert time.monotonic() - began < 28, "the end waits for reports, and not for long"
        assert len(receiver.events) <= MOST
