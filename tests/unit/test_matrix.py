"""The matrix of platforms: what it makes of uv's answers, and which interpreters it takes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from requirements import matrix
from requirements.install import WITHOUT_A_WHEEL

NONE = (
    "Because {0}==1.2 has no usable wheels and you require {0}==1.2, we can conclude nothing good."
)


def answering(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> list[list[str]]:
    """uv answers so; the commands that it was given."""
    given: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        given.append(command)
        return subprocess.CompletedProcess(command, code, "", said)

    monkeypatch.setattr("subprocess.run", run)
    return given


def test_wheels_are_asked_for_with_the_locks_hashes_and_without_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = answering(monkeypatch, 0)
    assert matrix.wheels("run", "aarch64", "3.14").word == "ok"
    (command,) = given
    assert {"--require-hashes", "--dry-run", "aarch64-manylinux_2_28", "3.14"} <= set(command)
    assert command[command.index("--only-binary") + 1] == ":all:"


def test_a_missing_wheel_fails_unless_it_is_known_and_a_known_one_that_appears_fails_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ((cell, package),) = WITHOUT_A_WHEEL.items()
    answering(monkeypatch, 1, NONE.format(package))
    assert matrix.wheels(*cell).word == "missing"
    assert matrix.wheels("run", "x86_64", "3.11").word == "failed"
    answering(monkeypatch, 1, NONE.format("another"))
    assert matrix.wheels(*cell).word == "failed"
    answering(monkeypatch, 0)
    assert "strike it" in matrix.wheels(*cell).detail


def test_the_newest_patch_of_each_promised_python_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for version in ("3.10.13", "3.12.1", "3.12.10", "3.13.0"):
        python = tmp_path / "versions" / version / "bin" / "python3"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [python.version for python in matrix.interpreters([])] == ["3.12.10", "3.13.0"]
