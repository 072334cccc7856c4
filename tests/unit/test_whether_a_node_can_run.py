"""`on-node.sh able`, by which CI tells a machine that allows no node from a node that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tests/e2e/on-node.sh"
REFUSED = 3


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment with a tool and a cache folder of its own."""
    tool = tmp_path / "tool" / "minicluster"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    return {
        **os.environ,
        "MINICLUSTER": str(tool.parent),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def able(environment: dict[str, str], *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, str(SCRIPT), "able"]
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, check=False, timeout=60
    )


def test_a_machine_without_the_tool_is_told_so(machine: dict[str, str], tmp_path: Path) -> None:
    done = able({**machine, "MINICLUSTER": str(tmp_path)})
    assert done.returncode == REFUSED
    assert f"no minicluster in {tmp_path}" in done.stderr


def test_trying_says_yes_or_the_reason_and_leaves_nothing(
    machine: dict[str, str], tmp_path: Path
) -> None:
    done = able(machine)
    assert (done.returncode, bool(done.stderr)) in {(0, False), (REFUSED, True)}, done
    assert list((tmp_path / "cache").rglob("able*")) == []


def test_a_right_that_is_refused_is_the_reason(machine: dict[str, str], tmp_path: Path) -> None:
    if not shutil.which("setpriv") or able(machine).returncode:
        pytest.skip("this machine allows no node: there is no right to take away")
    done = able(machine, "setpriv", "--bounding-set", "-sys_admin")
    assert done.returncode == REFUSED
    assert "Operation not permitted" in done.stderr
    assert list((tmp_path / "cache").rglob("able*")) == []
