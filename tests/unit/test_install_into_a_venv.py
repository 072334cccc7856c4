"""What `make` installs with: the Python that is chosen, the .venv that is kept or made anew, what
is said.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from requirements import install

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what choosing a Python reads, and a PATH of its own beside it."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "install.sh").write_text(
        (ROOT / "requirements" / "install.sh").read_text()
    )
    (tmp_path / "requirements" / "install.py").write_text(
        "import sys; print(sys.executable, *sys.argv[1:])"
    )
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "bin").mkdir()
    for name in ("sh", "sed", "dirname", "head", "grep"):
        found = next(
            Path(folder, name) for folder in ("/usr/bin", "/bin") if Path(folder, name).exists()
        )
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def pretender(checkout: Path, name: str, version: str) -> None:
    """A program that says it is that Python."""
    program = checkout / "bin" / name
    minor = version.split(".")[1]
    program.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo Python {version} || echo {minor}\n")
    program.chmod(0o755)


def real(checkout: Path, name: str) -> None:
    """This interpreter under that name."""
    (checkout / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (checkout / "bin" / name).chmod(0o755)


def choose(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run install.sh with nothing but that PATH."""
    return subprocess.run(
        ["sh", "requirements/install.sh", "run", *arguments],
        cwd=checkout,
        env={"PATH": str(checkout / "bin")},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("version", ["3.8.18", "3.10.13", "3.15.0"])
def test_a_python_that_is_not_promised_is_named_in_one_line_with_the_way_out(
    checkout: Path, version: str
) -> None:
    pretender(checkout, "python3", version)
    for arguments in ([], ["python3"]):
        ran = choose(checkout, *arguments)
        assert ran.returncode == 1
        assert ran.stderr.count("\n") == 1
        assert f"Python {version}" in ran.stderr
        assert "3.11 to 3.14" in ran.stderr
        assert "PYTHON=python3" in ran.stderr


def test_no_python_at_all_and_a_name_that_is_not_there_are_said(checkout: Path) -> None:
    assert "here is none: install one" in choose(checkout).stderr
    assert choose(checkout, "python3.12").stderr.startswith("python3.12 is not there: ")


def test_where_python3_is_too_old_a_newer_one_beside_it_is_taken(checkout: Path) -> None:
    pretender(checkout, "python3", "3.10.13")
    real(checkout, "python3.12")
    ran = choose(checkout)
    assert (ran.returncode, ran.stdout.split()[1:]) == (0, ["run"]), ran.stderr


def test_the_python_of_the_venv_that_is_there_is_kept_unless_another_is_asked_for(
    checkout: Path,
) -> None:
    pretender(checkout, "python3", "3.10.13")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    chosen = Path(choose(checkout).stdout.split()[0])
    assert chosen.samefile(sys.executable)
    assert ".venv" not in chosen.parts, "a .venv that is made anew must not be made by itself"
    assert choose(checkout, sys.executable).stdout.split()[1:] == ["run", "--exactly"]


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where .venv would be."""
    folder = tmp_path / ".venv"
    monkeypatch.setattr(install, "VENV", folder)
    monkeypatch.setattr(install, "PYTHON", folder / "bin" / "python")
    return folder


def answers(venv: Path, *script: str) -> None:
    """The Python of that virtual environment does nothing but this."""
    (venv / "bin").mkdir(parents=True, exist_ok=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").write_text("\n".join(["#!/bin/sh", *script, ""]))
    (venv / "bin" / "python").chmod(0o755)


def test_a_venv_is_made_anew_when_it_is_broken_moved_or_of_another_python(venv: Path) -> None:
    mine = f'["cpython", {sys.version_info[0]}, {sys.version_info[1]}]'
    assert install.fault_of_venv(exactly=False) == ""
    answers(venv, "exit 1")
    assert install.fault_of_venv(exactly=False) == "it is broken, or was left half made"
    answers(venv, "echo '[\"cpython\", 3, 10]'")
    assert install.fault_of_venv(exactly=False) == "it is of Python 3.10"
    other = 11 if sys.version_info[1] != 11 else 12
    answers(venv, f"echo '[\"cpython\", 3, {other}]'")
    assert install.fault_of_venv(exactly=False) is None
    assert install.fault_of_venv(exactly=True) == f"it is of Python 3.{other}"
    answers(venv, f"echo '{mine}'")
    (venv / "run.stamp").write_text(install.state("run"))
    assert install.fault_of_venv(exactly=True) is None
    (venv / "run.stamp").write_text('{"folder": "/elsewhere/.venv", "lock": ""}')
    assert install.fault_of_venv(exactly=True) == "it was made in /elsewhere/.venv"


def test_a_folder_of_somebody_else_is_not_deleted(venv: Path) -> None:
    venv.mkdir()
    (venv / "notes.txt").touch()
    with pytest.raises(install.Unfit, match="is not a virtual environment: move it away"):
        install.fault_of_venv(exactly=True)


@pytest.mark.parametrize(
    ("what", "machine", "libc", "said"),
    [
        (
            "riscv",
            "riscv64",
            ("glibc", "2.40"),
            "on riscv64; the services come as wheels for Linux on x86-64 or ARM64",
        ),
        ("musl", "x86_64", ("", ""), "another C library than glibc; Linux on"),
        ("old", "aarch64", ("glibc", "2.27"), "glibc 2.27; Linux on"),
    ],
)
def test_a_machine_without_wheels_is_named(
    monkeypatch: pytest.MonkeyPatch, what: str, machine: str, libc: tuple[str, str], said: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.libc_ver", lambda: libc)
    with pytest.raises(install.Unfit, match=said):
        install.check_machine("run")


def test_a_lock_without_a_wheel_for_this_python_on_this_processor_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "14", "1"))
    with pytest.raises(
        install.Unfit,
        match=r"starlark-pyo3, which tests need, .* Python 3\.14 on "
        r"aarch64",
    ):
        install.check_machine("dev")
    install.check_machine("run")


def test_a_python_without_ensurepip_is_told_which_package_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "ensurepip" else object()
    )
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(install.Unfit, match=rf"no ensurepip.*apt-get install python{version}-venv"):
        install.check_machine("run")


def test_what_pip_was_told_about_the_registry_holds_for_uv() -> None:
    listing = "global.index-url='https://mirror.example/simple'\n:env:.find-links='/a\\n/b'\nglobal.timeout='9'\n"
    assert install.uv_environment(listing) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_FIND_LINKS": "/a /b",
    }


def test_uv_itself_is_installed_at_its_locked_version_with_hashes() -> None:
    lines = install.requirement((ROOT / "requirements" / "dev.lock").read_text(), "uv").splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 5
    assert all(line.lstrip().startswith("--hash=sha256:") for line in lines[1:])


def test_all_that_the_run_lock_holds_is_in_the_dev_lock() -> None:
    def pinned(lock: str) -> set[str]:
        return {
            line.split(" ")[0]
            for line in install.LOCKS[lock].read_text().splitlines()
            if line[:1].isalnum()
        }

    assert pinned("run") <= pinned("dev")


def test_versions_that_are_promised_are_the_ones_that_are_classified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classified = [
        line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line
    ]
    assert classified == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == ">=3.11,<3.15"
