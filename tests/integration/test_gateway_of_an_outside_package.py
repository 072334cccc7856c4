"""A gateway of another package is known by its entry point alone: to the registry, and to the
command line.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from time import time

import aiohttp
import pytest

from tests.support import load
from tests.support.platform import running

PAGE = (Path(__file__).parents[2] / "docs" / "developers" / "adding-a-gateway.md").read_text(
    encoding="utf-8"
)
_, _, SECTION = PAGE.partition("## In a package of your own")


def block(language: str) -> str:
    """The code of the page's section about packages, to the letter."""
    return SECTION.partition(f"```{language}\n")[2].partition("```")[0]


MODULE = block("python")
BODY = {"acme_id": "A1", "status": "paid", "cents": 29700, "at": "2026-09-21T13:00:00Z", "email": "ana@example.com",
        "phone": "(11) 98765-0001", "link": "https://pay.acme.example/c?src=click-1"}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as an installed distribution leaves it."""
    (tmp_path / "acmepay_sinal.py").write_text(MODULE)
    info = tmp_path / "acmepay_sinal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acmepay-sinal\nVersion: 1.0\n")
    points = tomllib.loads(block("toml"))["project"]["entry-points"]["sinal.gateways"]
    assert tomllib.loads(block("toml"))["tool"]["setuptools"]["py-modules"] == list(points.values())
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    (info / "entry_points.txt").write_text("[sinal.gateways]\n" + "".join(lines))
    return tmp_path


def run(site: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with the folder on its path."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def test_the_registry_knows_it_beside_its_own(site: Path) -> None:
    code = "from sinal_hub.gateways import registry; print(sorted(registry()))"
    answer = run(site, "-c", code)
    assert "'acmepay'" in answer.stdout and "'hotmart'" in answer.stdout, answer.stderr


def test_the_command_line_parses_with_it(site: Path) -> None:
    parse = ("-m", "sinal_cli", "gateways", "parse", "--gateway", "acmepay")
    answer = run(site, *parse, stdin=json.dumps(BODY))
    [sale] = json.loads(answer.stdout)
    assert (sale["gateway"], sale["order_id"], sale["status"]) == ("acmepay", "A1", "approved")
    assert (sale["value"], sale["customer"]["em"]) == (
        "297.00",
        [hashlib.sha256(b"ana@example.com").hexdigest()],
    )
    assert sale["customer"]["ph"] == [hashlib.sha256(b"5511987650001").hexdigest()]
    assert (sale["tracking"]["click_id"], sale["occurred_at"]) == (
        "click-1",
        "2026-09-21T13:00:00Z",
    )
    refused = run(site, *parse, stdin="{}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "acme_id" in refused.stderr


def test_one_of_the_release_before_works_and_is_warned(site: Path) -> None:
    before = MODULE
    for now, then in (
        ("sinal_hub.gateways", "sinal_runtime.gateways"),
        ("sinal_hub.model.sale", "sinal_runtime.gateways.sale"),
        ("sinal_hub.identity", "sinal_runtime.identity"),
    ):
        assert now in MODULE
        before = before.replace(now, then)
    (site / "acmepay_sinal.py").write_text(before)
    parse = (
        "-W",
        "default::DeprecationWarning",
        "-m",
        "sinal_cli",
        "gateways",
        "parse",
        "--gateway",
        "acmepay",
    )
    answer = run(site, *parse, stdin=json.dumps(BODY))
    [sale] = json.loads(answer.stdout)
    assert (sale["gateway"], sale["value"]) == ("acmepay", "297.00")
    assert "sinal_runtime is now sinal_hub" in answer.stderr


def test_what_is_no_sale_is_told_by_its_field(site: Path) -> None:
    (site / "acmepay_sinal.py").write_text(MODULE.replace("value=value,", "value=297.0,"))
    parse = ("-m", "sinal_cli", "gateways", "parse", "--gateway", "acmepay")
    answer = run(site, *parse, stdin=json.dumps(BODY))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert (
        answer.stderr
        == "the adapter of acmepay gave something that is not a sale: `value` is of the wrong "
        "type\n"
    )


def test_one_that_lacks_something_is_told_what(site: Path) -> None:
    (site / "acmepay_sinal.py").write_text(MODULE.replace("AUTHENTICATES = True", ""))
    answer = run(site, "-c", "from sinal_hub.gateways import registry; registry()")
    assert "TypeError: gateway acmepay: missing AUTHENTICATES" in answer.stderr


@pytest.mark.parametrize(("name", "said"), [("hotmart", "is taken"), ("Acme-Pay", "2 to 30")])
def test_no_package_takes_a_shipped_name_or_one_that_no_manifest_can_write(
    site: Path, name: str, said: str
) -> None:
    (site / "acmepay_sinal.py").write_text(MODULE.replace('NAME = "acmepay"', f'NAME = "{name}"'))
    answer = run(site, "-c", "from sinal_hub.gateways import registry; registry()")
    assert answer.returncode != 0 and said in answer.stderr


SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"
SECRET = """
---
apiVersion: v1
kind: Secret
metadata: {name: acmepay}
stringData: {token: s3cret}
"""


async def test_its_sale_reaches_meta_by_the_manifest_of_the_page(
    site: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "acmepay.yaml"
    manifest.write_text(block("yaml") + SECRET)
    settings = {"PYTHONPATH": str(site)}
    body = {**BODY, "at": datetime.fromtimestamp(time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    async with (
        running(tmp_path / "stack", [SHOP, manifest], settings=settings) as platform,
        aiohttp.ClientSession() as session,
    ):
        url = platform.webhook("loja", "acmepay")
        assert "/webhooks/acmepay/" in url
        for secret, status in (("wrong", 401), ("s3cret", 202)):
            async with session.post(url, json=body, headers={"X-Acme-Token": secret}) as answer:
                assert answer.status == status, await answer.text()
        totals = await platform.settled(session, accepted=1)
        assert totals["delivered"] == 1
        assert len(await load.purchases(session, platform.sandbox_url, "1111111111")) == 1
