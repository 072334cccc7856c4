"""The demo ends as it says, fresh and over a kept folder, as root or as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65_534


# An ordinary user who may read the folder of this interpreter, which can lie in root's closed home.
AS_USER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)


def demo(*options: str, before: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*before, sys.executable, "-m", "sinal_cli", "demo", "--json", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert ran.returncode == 0, ran.stdout[-3_000:] + ran.stderr[-2_000:]
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def test_it_ends_well_fresh_and_again_over_its_kept_data(tmp_path: Path) -> None:
    first = demo("--data", str(tmp_path / "data"))
    second = demo("--data", str(tmp_path / "data"))
    for result in (first, second):
        assert result["ok"] is True
        assert all(event["ok"] for event in result["events"])
        assert result["ledger"]["in_flight"] == 0
    assert second["ledger"]["accepted"] == 2 * first["ledger"]["accepted"]


def test_every_gateway_and_every_accident_of_the_journey_is_there() -> None:
    events = demo()["events"]
    assert {event.get("gateway") for event in events} >= {
        "hotmart",
        "kiwify",
        "stripe",
        "perfectpay",
        "appmax",
        "braip",
    }
    outcomes = {(event["outcome"], event["reason"]) for event in events}
    assert outcomes >= {
        ("delivered", None),
        ("withheld", "duplicate"),
        ("withheld", "no_consent"),
        ("withheld", "policy"),
        ("refused", "400"),
        ("refused", "401"),
        ("quarantined", None),
    }
    statuses = {attempt["http_status"] for event in events for attempt in event.get("attempts", [])}
    assert statuses == {200, 500}


@pytest.mark.skipif(os.geteuid() != 0, reason="it is an ordinary user already")
def test_an_ordinary_user_can_run_it(tmp_path: Path) -> None:
    home = Path("/tmp") / f"sinal-user-{os.getpid()}"  # pytest's own folder is closed to others
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    try:
        result = demo("--data", str(home / "data"), before=AS_USER)
        assert result["ok"] is True
    finally:
        shutil.rmtree(home)
