"""A gateway of another package is known by its entry point alone: to the registry, and to the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MODULE = '''
"""Acmepay, a gateway that lives in a package of its own."""

import hmac
import json

from sinal_runtime.gateways import NotThisGateway
from sinal_runtime.gateways.sale import Sale

NAME = "acmepay"
SECRET_KEYS = ("token",)
AUTHENTICATES = True


def verify(raw, headers, query, secret):
    return bool(secret.get("token")) and hmac.compare_digest(headers.get("x-acme", ""), secret["token"])


def parse(raw, *, country="BR", clear=False):
    try:
        body = json.loads(raw)
    except ValueError:
        raise NotThisGateway("the body is not JSON") from None
    if "acme_id" not in body:
        raise NotThisGateway("`acme_id` is missing")
    return [Sale(gateway=NAME, event="PAID", event_key=f"acmepay:{body['acme_id']}:approved", status="approved",
                 order_id=body["acme_id"], value="10.00", currency="BRL", occurred_at="2026-01-01T00:00:00Z")]
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as an installed distribution leaves it."""
    (tmp_path / "acmepay_sinal.py").write_text(MODULE)
    info = tmp_path / "acmepay_sinal-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acmepay-sinal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sinal.gateways]\nacmepay = acmepay_sinal\n")
    return tmp_path


def run(site: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with the folder on its path."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, timeout=60, check=False
    )


def test_the_registry_knows_it_beside_its_own(site: Path) -> None:
    code = "from sinal_runtime.gateways import registry; print(sorted(registry()))"
    answer = run(site, "-c", code)
    assert "'acmepay'" in answer.stdout and "'hotmart'" in answer.stdout, answer.stderr


def test_the_command_line_parses_with_it(site: Path) -> None:
    parse = ("-m", "sinal_cli", "gateways", "parse", "--gateway", "acmepay")
    answer = run(site, *parse, stdin='{"acme_id": "A1"}')
    [sale] = json.loads(answer.stdout)
    assert (sale["gateway"], sale["order_id"], sale["status"]) == ("acmepay", "A1", "approved")
    refused = run(site, *parse, stdin="{}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "acme_id" in refused.stderr


def test_one_that_lacks_something_is_told_what(site: Path) -> None:
    (site / "acmepay_sinal.py").write_text(textwrap.dedent(MODULE).replace("AUTHENTICATES = True", ""))
    answer = run(site, "-c", "from sinal_runtime.gateways import registry; registry()")
    assert "TypeError: gateway acmepay: missing AUTHENTICATES" in answer.stderr
