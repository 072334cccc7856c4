"""Makes .venv and installs a lock into it: `install.py run|dev [--exactly]`.

The Makefile calls it through install.sh.

Needs nothing but the standard library. What is there and fits is kept, so that a second call takes
no time: a stamp in .venv holds what was installed. A .venv that is broken, half made, moved, or of
another Python than the one asked for (`--exactly`) is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": ROOT / "requirements" / "run.lock", "dev": ROOT / "requirements" / "dev.lock"}
HOLDS = {"run": ("dev", "run"), "dev": ("dev",)}  # what is installed of dev is enough for run
PLATFORMS = "Linux on x86-64 or ARM64 with glibc 2.28 or newer, or macOS"
# Lock, processor, Python: the package without a wheel there. docs/operators/platforms.md says it
# too, requirements/matrix.py sees to it that nothing else is missing.
WITHOUT_A_WHEEL = {("dev", "aarch64", "3.14"): "starlark-pyo3"}
# What pip was told about the registry holds for uv too.
UV_OPTIONS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
}


class Unfit(Exception):
    """This machine or this folder cannot take it; the message is one line with the way out."""


def main(arguments: Sequence[str]) -> int:
    """Install; 0 when .venv holds the lock, 1 with a line that says why not."""
    lock, exactly = arguments[0], "--exactly" in arguments[1:]
    try:
        with LOCKS["dev"].open() as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # two makes at once: the second finds it done
            install(lock, exactly=exactly)
    except Unfit as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on", file=sys.stderr)
        return 130
    return 0


def install(lock: str, *, exactly: bool) -> None:
    """Bring .venv to what the lock says; raises Unfit."""
    fault = fault_of_venv(exactly=exactly)
    if fault is None and any(
        _stamp(name).is_file() and _stamp(name).read_text() == state(name) for name in HOLDS[lock]
    ):
        return
    began = time.monotonic()
    check_machine(lock)
    if fault is not None:
        _make(fault)
    for name in LOCKS:
        _stamp(name).unlink(missing_ok=True)
    _say(2, f"{_packages(lock)} packages, each checked by its hash")
    uv = _uv()
    _pip(uv, "--require-hashes", "-r", str(LOCKS[lock]))
    _say(3, "Sinal itself, from this folder")
    _pip(uv, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    _stamp(lock).write_text(state(lock))
    print(f"Installed into .venv in {time.monotonic() - began:.0f} s.", flush=True)


def fault_of_venv(*, exactly: bool) -> str | None:
    """Why .venv must be made (again), or None when it can be used as it is.

    Raises Unfit when it is something else.
    """
    if not VENV.exists():
        return ""
    if VENV.is_dir() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
        raise Unfit(f"{VENV} is not a virtual environment: move it away, its place is needed")
    found = _ask(
        "import json, sys, sysconfig, pip; print(json.dumps([sys.implementation.name, "
        "*sys.version_info[:2]]))"
    )
    mine = [sys.implementation.name, *sys.version_info[:2]]
    if found is None:
        return "it is broken, or was left half made"
    if found != mine and (exactly or f"{found[1]}.{found[2]}" not in promised()):
        return f"it is of Python {found[1]}.{found[2]}"
    for name in LOCKS:
        where = _folder_in(_stamp(name))
        if where not in {None, str(VENV)}:
            return f"it was made in {where}"
    return None


def check_machine(lock: str) -> None:
    """Raises Unfit where no wheels of the services are, or where Python cannot make virtual
    environments.
    """
    if os.name != "posix" or platform.machine() not in {"x86_64", "aarch64", "arm64"}:
        raise Unfit(
            f"This is {platform.system()} on {platform.machine()}; the services come as wheels for "
            f"{PLATFORMS}."
        )
    libc, version = platform.libc_ver()
    if sys.platform == "linux" and (
        libc != "glibc" or tuple(map(int, version.split("."))) < (2, 28)
    ):
        raise Unfit(
            (f"This system has {libc or 'another C library than glibc'} {version}").rstrip()
            + f"; {PLATFORMS}."
        )
    python = ".".join(platform.python_version_tuple()[:2])
    if (package := WITHOUT_A_WHEEL.get((lock, platform.machine(), python))) is not None:
        raise Unfit(
            f"{package}, which tests need, has no wheel for Python {python} on "
            f"{platform.machine()}: name another"
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise Unfit(
                f"Python {platform.python_version()} has no {module}, so it makes no virtual "
                "environment: "
                f"apt-get install python{python}-venv (Debian, Ubuntu)"
            )


def promised() -> list[str]:
    """The Pythons that Sinal runs on, as `requires-python` says: 3.11, 3.12, …"""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first, beyond = (int(part.rpartition(".")[2]) for part in wanted.split(","))
    return [f"3.{minor}" for minor in range(first, beyond)]


def state(lock: str) -> str:
    """What a stamp says when all of the lock is installed: Python, place, and a hash of what was to
    be installed.
    """
    digest = hashlib.sha256(
        LOCKS[lock].read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    ).hexdigest()
    return json.dumps({"folder": str(VENV), "lock": digest}) + "\n"


def uv_environment(listing: str) -> dict[str, str]:
    """What `pip config list` says of the registry, as uv's environment variables."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        name = UV_OPTIONS.get(key.rpartition(".")[2])
        if name is not None:
            found[name] = " ".join(value.strip("'\"").replace("\\n", " ").split())
    return found


def requirement(lock: str, name: str) -> str:
    """The lines of one distribution in a lock, its hashes among them."""
    lines = lock.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next(
        (number for number in range(start + 1, len(lines)) if lines[number][0] != " "), len(lines)
    )
    return "".join(lines[start:end])


def _make(fault: str) -> None:
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        print(f"Making .venv anew: {fault}.", flush=True)
        shutil.rmtree(VENV)
    _say(1, f"a virtual environment in .venv, with Python {platform.python_version()}")
    if _run([sys.executable, "-m", "venv", str(VENV)]).returncode:
        raise Unfit(f"{sys.executable} -m venv {VENV} failed; what it said is above")


def _uv() -> list[str] | None:
    """uv at its locked version, five times as fast.

    None where the registry has none for this machine.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as only:
        only.write(requirement(LOCKS["dev"].read_text(), "uv"))
        only.flush()
        done = _run([*_PIP, "--quiet", "--require-hashes", "-r", only.name], capture=True)
    return (
        None
        if done.returncode
        else [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
    )


_PIP = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]


def _pip(uv: Sequence[str] | None, *options: str) -> None:
    """Install with uv; with pip where uv cannot (a registry that only pip is set up for).

    Raises Unfit.
    """
    if uv is not None:
        told = _run([str(PYTHON), "-m", "pip", "config", "list"], capture=True).stdout
        done = _run([*uv, *options], capture=True, env={**os.environ, **uv_environment(told)})
        if done.returncode == 0:
            return
        print(
            f"uv could not, so pip does it, which takes longer; uv said:\n{done.stderr.rstrip()}",
            flush=True,
        )
    if _run([*_PIP, "--quiet", *options]).returncode:
        raise Unfit(
            "pip failed; what it said is above. It needs a package registry: PIP_INDEX_URL names a "
            "mirror"
        )


def _run(
    command: Sequence[str], *, capture: bool = False, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, text=True, capture_output=capture, env=env)


def _ask(code: str) -> list[int | str] | None:
    """What the Python of .venv prints, as JSON; None when it does not run."""
    try:
        done = _run([str(PYTHON), "-c", code], capture=True)
    except OSError:
        return None
    found: list[int | str] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def _stamp(lock: str) -> Path:
    return VENV / f"{lock}.stamp"


def _folder_in(stamp: Path) -> str | None:
    try:
        folder: str = json.loads(stamp.read_text())["folder"]
    except (OSError, ValueError):
        return None
    return folder


def _packages(lock: str) -> int:
    return sum("==" in line for line in LOCKS[lock].read_text().splitlines() if line[0] != " ")


def _say(step: int, what: str) -> None:
    print(f"[{step}/3] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
