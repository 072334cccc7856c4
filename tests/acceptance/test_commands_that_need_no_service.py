"""`gateways parse`, `identity hash` and `manifests check` as other programs call them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAYLOAD = (
    ROOT / "tests" / "fixtures" / "gateways" / "hotmart" / "PURCHASE_APPROVED.origin_src_sck.json"
)
# Meta's vector of john_smith@gmail.com
HASHED = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"


def sinal(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sinal_cli", *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_payload_of_a_file_or_of_standard_input_gives_the_same_array() -> None:
    from_file = sinal("gateways", "parse", "--gateway", "hotmart", str(PAYLOAD))
    from_stdin = sinal("gateways", "parse", "--gateway", "hotmart", given=PAYLOAD.read_text())
    assert from_file.returncode == from_stdin.returncode == 0
    assert from_file.stdout == from_stdin.stdout
    [sale] = json.loads(from_file.stdout)
    assert [sale[name] for name in ("status", "value", "currency", "method")] == [
        "approved",
        "124.75",
        "BRL",
        "credit_card",
    ]
    assert "clear" not in sale["customer"]


@pytest.mark.parametrize("body", ["", "garbage", "[]", '{"hello": 1}'])
def test_a_body_that_is_no_delivery_ends_with_2_and_one_line(body: str) -> None:
    ran = sinal("gateways", "parse", "--gateway", "stripe", given=body)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1


def test_an_unknown_gateway_is_answered_with_the_known_ones() -> None:
    ran = sinal("gateways", "parse", "--gateway", "hotmrt", given="{}")
    assert ran.returncode == 2
    assert "hotmart" in ran.stderr


def test_clear_data_is_not_printed_into_a_pipe() -> None:
    ran = sinal("gateways", "parse", "--gateway", "hotmart", "--show-clear", str(PAYLOAD))
    assert ran.returncode == 2
    assert ran.stdout == ""


def test_identity_lines_keep_their_fields_and_gain_two() -> None:
    lines = [
        {"field": "ph", "value": "(11) 99999-8888", "row": 7},
        {"field": "em", "value": HASHED},
        {"field": "fn", "value": " "},
        {"field": "em", "value": None},
    ]
    ran = sinal("identity", "hash", "--country", "BR", given="\n".join(map(json.dumps, lines)))
    assert ran.returncode == 0
    phone, hashed, blank, nothing = map(json.loads, ran.stdout.splitlines())
    assert (phone["row"], phone["normalized"]) == (7, "5511999998888")
    assert (
        (blank["normalized"], blank["sha256"])
        == (nothing["normalized"], nothing["sha256"])
        == (None, None)
    )
    assert hashed["sha256"] == HASHED, "a value that is hashed already was hashed again"


def test_identity_names_the_line_that_is_wrong() -> None:
    ran = sinal("identity", "hash", given='{"field": "em", "value": "a@b.com"}\nnonsense\n')
    assert ran.returncode == 2
    assert "line 2" in ran.stderr


def test_the_examples_are_valid_and_a_broken_manifest_is_named() -> None:
    assert sinal("manifests", "check", str(ROOT / "examples")).returncode == 0
    bad = ROOT / "tests" / "corpus" / "manifests" / "bad"
    file = sorted(bad.rglob("*.yaml"))[0]
    ran = sinal("manifests", "check", str(file))
    assert ran.returncode == 1
    assert file.name in ran.stderr
    assert sinal("manifests", "check", "does-not-exist").returncode == 2


MANIFEST = """apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja}
---
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {}
"""


def test_manifests_come_from_standard_input_and_a_note_is_an_error_where_that_is_asked() -> None:
    ran = sinal("manifests", "check", "-", given=MANIFEST)
    assert (ran.returncode, ran.stdout) == (0, "1 Tenant, 1 Funnel\n")
    assert ran.stderr.startswith(
        "note: <stdin>:4: Funnel default/curso: spec.destinationRefs: is empty"
    )
    strict = sinal("manifests", "check", "--strict", "-", given=MANIFEST)
    assert strict.returncode == 1
    assert strict.stderr.startswith("error: <stdin>:4") and strict.stderr.endswith("1 error\n")


@pytest.mark.parametrize("text", ["", "# a comment\n", "---\n"])
def test_no_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.yaml").write_text(text)
    for path in (tmp_path, tmp_path / "empty.yaml"):
        ran = sinal("manifests", "check", str(path))
        assert ran.returncode == 1
        assert str(path) in ran.stderr and ("looked for *.yaml" in ran.stderr) == path.is_dir()
