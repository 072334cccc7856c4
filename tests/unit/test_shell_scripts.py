"""Every shell script of the project, as ShellCheck reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(sys.executable).parent
# ARM has no wheel of it
SHELLCHECK = shutil.which("shellcheck", path=f"{HERE}{os.pathsep}{os.environ['PATH']}") or ""


def scripts() -> list[Path]:
    """Files whose first line calls a shell, among those that git knows or is about to."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and _shebang(path).endswith(("sh", "bash"))]


def _shebang(path: Path) -> str:
    with path.open("rb") as file:
        first = file.readline(120)
    return first.decode().split()[-1] if first.startswith(b"#!") and first.split() else ""


@pytest.mark.parametrize("script", scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_has_no_fault_that_shellcheck_knows(script: Path) -> None:
    assert SHELLCHECK, "shellcheck is missing: apt-get install shellcheck (Debian, Ubuntu)"
    done = subprocess.run(
        [SHELLCHECK, str(script)], text=True, capture_output=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o111, "nobody can start it"


def test_scripts_are_found_and_faults_are_seen(tmp_path: Path) -> None:
    assert {".ci/run", "tests/e2e/on-kind.sh"} <= {
        str(path.relative_to(ROOT)) for path in scripts()
    }
    faulty = tmp_path / "faulty.sh"
    faulty.write_text("#!/bin/sh\nrm -rf $1/*\n")
    done = subprocess.run([SHELLCHECK, str(faulty)], text=True, capture_output=True, check=False)
    assert "SC2086" in done.stdout
