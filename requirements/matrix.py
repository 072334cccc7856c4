"""What of the promised platforms is checked here: `python -m requirements.matrix`, `make matrix`.

Two questions. Is there a wheel, with a hash of the lock, for every locked package on each promised
pair of Python and processor? uv answers from the registry that this environment names, and installs
nothing. And does what is promised run on each promised Python that this machine has? Each gets a
checkout and a .venv of its own, by `make`, as a newcomer would. With `--debian SUITE` that is a
bare Debian, made once by debootstrap: its Python, make, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

from requirements.install import ROOT, WITHOUT_A_WHEEL, promised

UV = Path(sys.executable).parent / "uv"
PROCESSORS = ("x86_64", "aarch64")
GLIBC = "2_28"
# What is installed by `make demo` and `make up`, by `make test`, and into the images.
INSTALLED = ("run", "dev", "image", "services")
DEMO = ("make", "demo", "ARGS=--json")
UNIT = ("make", "unit", "ARGS=-q")


class Verdict(NamedTuple):
    """One line of the answer."""

    subject: str
    word: str  # ok, missing, failed
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.subject:<46}{self.word:<9}{self.detail}".rstrip()


def wheels(lock: str, processor: str, python: str) -> Verdict:
    """Whether every package of a lock has a wheel for that Python on Linux with that processor."""
    command = [
        str(UV),
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    command += ["--require-hashes", "-r", str(ROOT / "requirements" / f"{lock}.lock")]
    command += ["--python-platform", f"{processor}-manylinux_{GLIBC}", "--python-version", python]
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [*command, "--target", nowhere], capture_output=True, text=True, check=False
        )
    subject = f"wheels of {lock}.lock, Python {python}, {processor}"
    known = WITHOUT_A_WHEEL.get((lock, processor, python))
    if done.returncode == 0:
        if known is not None:
            return Verdict(
                subject,
                "failed",
                f"{known} has a wheel now: strike it from WITHOUT_A_WHEEL and "
                "docs/operators/platforms.md",
            )
        return Verdict(subject, "ok")
    if known is not None and f"{known}==" in done.stderr and "no usable wheels" in done.stderr:
        return Verdict(subject, "missing", f"{known}: known")
    return Verdict(subject, "failed", done.stderr.strip())


class Interpreter(NamedTuple):
    """A Python, of this system or of one that lies in a folder."""

    version: str
    path: str
    root: Path | None = None

    def __str__(self) -> str:
        return f"Python {self.version} of {self.root or self.path}"


def interpreters(roots: Sequence[Path]) -> list[Interpreter]:
    """The newest patch of each promised Python: on the PATH, of pyenv; and every root's own."""
    found: dict[str, Interpreter] = {}
    for path in _candidates():
        version = _version([path])
        minor = version.rpartition(".")[0]
        if minor in promised() and (
            minor not in found or _key(found[minor].version) < _key(version)
        ):
            found[minor] = Interpreter(version, path)
    of_roots = [
        Interpreter(_version(["chroot", str(root), "python3"]), "python3", root) for root in roots
    ]
    return [found[minor] for minor in promised() if minor in found] + of_roots


def _candidates() -> Iterator[str]:
    for minor in promised():
        for name in {shutil.which(f"python{minor}"), *_pyenv(minor)}:
            if name is not None:
                yield name
    if (default := shutil.which("python3")) is not None:
        yield default


def _pyenv(minor: str) -> list[str]:
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(path) for path in home.glob(f"versions/{minor}.*/bin/python3")]


def _version(python: Sequence[str]) -> str:
    code = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run([*python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def runs(python: Interpreter, targets: Sequence[Sequence[str]]) -> Iterator[Verdict]:
    """Whether each target of the Makefile ends well in a fresh checkout with that Python."""
    with tempfile.TemporaryDirectory(prefix="sinal-matrix-", dir=_place(python)) as folder:
        checkout = Path(folder)
        _copy(checkout)
        for target in targets:
            began = time.monotonic()
            done = _do(python, checkout, target)
            subject = f"{' '.join(target[:2])}, {python}"
            seconds = f"{time.monotonic() - began:.0f} s"
            if done.returncode:
                yield Verdict(subject, "failed", f"{seconds}\n{done.stdout[-6_000:]}")
                return
            yield Verdict(subject, "ok", seconds)


def _place(python: Interpreter) -> str | None:
    return None if python.root is None else str(python.root / "tmp")


def _copy(checkout: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            target = checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def _do(
    python: Interpreter, checkout: Path, target: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    command = [*target, f"PYTHON={python.path}"]
    where: Path | None = checkout
    if python.root is not None:
        inside = "/" + str(checkout.relative_to(python.root))
        command = ["unshare", "--mount", "sh", "-c", _ENTER, str(python.root), inside, *command]
        where = None
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"VIRTUAL_ENV", "MAKEFLAGS", "PYTHON"}
    }
    return subprocess.run(
        command,
        cwd=where,
        env=kept,
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


# A namespace of its own: what is mounted there is gone with it.
_ENTER = """
root=$0 inside=$1 && shift
mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm" &&
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$inside" "$@"
"""


def debian(suite: str) -> Path:
    """A bare system of that suite: Python with venv, make, certificates, nothing else.

    Made once, as root.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sinal" / "bare" / suite
    if not (root / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        command = [
            "debootstrap",
            "--variant=minbase",
            "--include=python3,python3-venv,make,ca-certificates",
            suite,
        ]
        script = Path("/usr/share/debootstrap/scripts")
        known = [] if (script / suite).exists() else ["", str(script / "sid")]
        subprocess.run([*command, str(root), *known], check=True, stdout=sys.stderr)
        (root / "made").touch()
    for name in (
        "/etc/resolv.conf",
        os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    ):
        shutil.copy(name, root / name.lstrip("/"))
    return root


def main(arguments: Sequence[str]) -> int:
    """Print a line for each question; 1 when one failed, with what it said."""
    asked = argparse.ArgumentParser(prog="matrix", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--only", choices=["wheels", "runs"], help="one of the two questions")
    asked.add_argument(
        "--debian", action="append", default=[], metavar="SUITE", help="a bare Debian too (as root)"
    )
    asked.add_argument(
        "--demo-only", action="store_true", help="run the demo, and not the unit tests"
    )
    options = asked.parse_args(arguments)
    failed = 0
    for verdict in _answers(options):
        print(verdict, flush=True)
        failed += verdict.word == "failed"
    print(f"matrix: {failed} failed" if failed else "matrix: all as promised")
    return int(failed > 0)


def _answers(options: argparse.Namespace) -> Iterator[Verdict]:
    if options.only != "runs":
        with ThreadPoolExecutor(4) as several:
            yield from several.map(
                lambda cell: wheels(*cell), product(INSTALLED, PROCESSORS, promised())
            )
    if options.only != "wheels":
        targets = [DEMO] if options.demo_only else [DEMO, UNIT]
        found = interpreters([debian(suite) for suite in options.debian])
        for python in found:
            yield from runs(python, targets)
        have = {python.version.rpartition(".")[0] for python in found}
        for minor in promised():
            if minor not in have:
                yield Verdict(
                    f"runs on Python {minor}",
                    "missing",
                    "no such interpreter here: only its wheels were checked",
                )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
