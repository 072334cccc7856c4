"""`sinal demo --against`: the journey at a stack that runs already, as a cluster's inner loop plays
it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sinal_cli", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)


def test_it_plays_at_the_stack_of_a_ready_file_and_leaves_it_running(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    arguments = [
        "up",
        "-f",
        str(ROOT / "examples"),
        "--data",
        str(tmp_path / "data"),
        "--ready-file",
        str(ready),
    ]
    stack = subprocess.Popen(
        [sys.executable, "-m", "sinal_cli", *arguments], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            if ready.exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                stack.wait(0.1)
        played = demo("--against", str(ready), "--json")
        assert played.returncode == 0, played.stdout + played.stderr
        result = json.loads(played.stdout)
        assert result["ok"]
        assert result["ledger"]["in_flight"] == 0
        assert stack.poll() is None
    finally:
        stack.terminate()
        stack.wait(30)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"ingest": "", "api": "", "sandbox": "", "admin_key": "", "tenants": {}}'],
)
def test_a_file_that_describes_no_stack_ends_with_2_and_one_line(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "ready.json"
    file.write_text(content)
    ran = demo("--against", str(file))
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
