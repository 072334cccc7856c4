"""`sinal status`: what a stack's status file tells, for a person and for a program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from sinal_cli.client.show import Output
from sinal_cli.client.target import NoTarget
from sinal_cli.local.standing import status

URL = "http://127.0.0.1:8080/t/loja/api/v1/webhooks/hotmart/cj6tfvylaha53djyl2hmzaia77i73rre-and-longer-than-a-line"


def item(kind: str, name: str, *, ready: bool = True, **more: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": str(ready), "reason": "Ready" if ready else "SecretNotFound",
                 "message": "" if ready else "Secret default/hotmart is not there",
                 "observedGeneration": 1}  # fmt: skip
    return {
        "kind": kind, "metadata": {"namespace": "default", "name": name, "generation": 1},
        "spec": {} if kind == "Tenant" else {"tenantRef": "loja"}, "status": {"conditions": [condition], **more},
    }  # fmt: skip


def written(folder: Path, *items: dict[str, Any], **more: Any) -> Path:
    body = {"version": 1, "pid": os.getpid(), "items": items, "refused": [], "leaving": [], **more}
    (folder / "status.json").write_bytes(msgspec.json.encode(body))
    return folder


def terminal() -> Output:
    out = Output(as_json=False)
    out.lines, out.console = False, Console(highlight=False, width=80)
    return out


def test_a_webhook_s_url_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(
        tmp_path, item("Tenant", "loja"), item("GatewayIntegration", "hotmart", webhookURL=URL)
    )
    assert status(folder, terminal()) == 0
    assert f"hotmart: {URL}" in capsys.readouterr().out.splitlines()
    assert status(folder, Output(as_json=True)) == 0
    tenant, hook = (msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines())
    assert (tenant["webhook_url"], hook["webhook_url"], hook["ready"]) == (None, URL, "True")


def test_what_is_not_ready_refused_or_leaving_is_said_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = item("Tenant", "loja"), item("GatewayIntegration", "hotmart", ready=False)
    assert status(written(tmp_path, good, bad), terminal()) == 1
    assert (
        "GatewayIntegration hotmart: Secret default/hotmart is not there" in capsys.readouterr().out
    )
    assert status(
        written(tmp_path, good, refused=["loja.yaml:3: Tenant default/loja: spec.slag: unknown"]),
        terminal(),
    )
    assert "refused: loja.yaml:3" in capsys.readouterr().out
    assert status(
        written(tmp_path, good, leaving=[{"tenant": "velha", "endsAt": "2026-11-30T12:00:00Z"}]),
        terminal(),
    )
    assert "tenant velha is in no file any more" in capsys.readouterr().out


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoTarget, match="sinal up"):
        status(tmp_path, terminal())
    with pytest.raises(NoTarget, match="sinal up"):
        status(written(tmp_path, pid=2**22 + 1), terminal())
