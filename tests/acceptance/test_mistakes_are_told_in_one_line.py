"""A mistake of the user's, or of their machine, ends in a word on what is wrong and no traceback,
whoever they are.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

NOBODY = 65_534
# An ordinary user who may read the folder of this interpreter, which can lie in root's closed home;
# and write nowhere.
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)
CLOSED = "postgresql://sinal:hidden@127.0.0.1:1/sinal"


def ran(
    words: Sequence[str],
    *,
    user: str,
    variables: dict[str, str] | None = None,
    program: str = "sinal_cli",
) -> subprocess.CompletedProcess[str]:
    before = AS_NOBODY if user == "nobody" else ()
    return subprocess.run(
        [*before, sys.executable, "-m", program, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"SINAL_LOG_LEVEL": "warning"} | (variables or {}),
    )


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The words, which are few and no traceback."""
    assert done.returncode in (1, 2), (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 3, done.stderr
    return done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file, a closed folder of ours, a folder that nobody else may write to, and a
    taken port.
    """
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "ours").mkdir(mode=0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    yield tmp_path


Words = Callable[[Path], list[str]]
Case = tuple[str, Words, dict[str, str], str]
ANYBODY: list[Case] = [
    (
        "data is a file",
        lambda p: ["up", "--data", f"{p}/file"],
        {},
        "is a file: give another folder with --data",
    ),
    (
        "data below a file",
        lambda p: ["up", "--data", f"{p}/file/x"],
        {},
        "is a file: give another folder with --data",
    ),
    (
        "no folder can be made",
        lambda p: ["up", "--data", "/proc/sinal"],
        {},
        "give another folder with --data",
    ),
    ("demo's data is a file", lambda p: ["demo", "--data", f"{p}/file"], {}, "is a file"),
]
BY_ANYBODY_ALIKE: list[Case] = [  # who does it makes no difference
    (
        "port too high",
        lambda p: ["up", "--data", f"{p}/open/a", "--port", "99999"],
        {},
        "must be 1 to 65532",
    ),
    (
        "port is none",
        lambda p: ["demo", "--data", f"{p}/open/b", "--port", "0"],
        {},
        "must be 1 to 65532",
    ),
    (
        "ready file nowhere",
        lambda p: ["up", "--ready-file", f"{p}/none/ready"],
        {},
        "there is no such folder",
    ),
    (
        "no address",
        lambda p: ["up", "--public-url", "track.example"],
        {},
        "--public-url track.example: must be an address",
    ),
    (
        "address with a path",
        lambda p: ["up", "--graph-url", "http://h/v26.0"],
        {},
        "must end after the host",
    ),
    ("no manifests", lambda p: ["up", "--file", f"{p}/none"], {}, "no such file or folder"),
    (
        "no database",
        lambda p: ["migrate"],
        {"SINAL_DATABASE_URL": CLOSED},
        "at 127.0.0.1:1 (Connection refused)",
    ),
    (
        "no keyring",
        lambda p: ["run", "match"],
        {"SINAL_KEYRING_FILE": "/none"},
        "set SINAL_KEYRING_FILE",
    ),
    ("bad setting", lambda p: ["run", "match"], {"SINAL_PORT": "http"}, "SINAL_PORT: "),
    (
        "no ready file",
        lambda p: ["demo", "--against", f"{p}/none"],
        {},
        "write it with `sinal up --ready-file`",
    ),
    (
        "payload is a folder",
        lambda p: ["gateways", "parse", "--gateway", "stripe", f"{p}/open"],
        {},
        "Is a directory",
    ),
    (
        "no stack",
        lambda p: ["events", "list", "--data", f"{p}/open"],
        {},
        "no API: start one with `sinal up`",
    ),
]


def cases() -> Iterator[object]:
    """Each as an ordinary user, and what rights decide as root too."""
    ordinary = "nobody" if os.geteuid() == 0 else "myself"
    for name, *case in (*ANYBODY, *BY_ANYBODY_ALIKE):
        yield pytest.param(ordinary, *case, id=f"{name}, {ordinary}")
    for name, *case in ANYBODY if os.geteuid() == 0 else ():
        yield pytest.param("root", *case, id=f"{name}, root")


@pytest.mark.parametrize(("user", "words", "variables", "said"), list(cases()))
def test_a_mistake_is_told(
    place: Path, user: str, words: Words, variables: dict[str, str], said: str
) -> None:
    output = told(ran(words(place), user=user, variables=variables))
    assert said in output
    assert "hidden" not in output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--data", "{}/ours"], "may not write to"),
        (["up", "--data", "{}/ours/deeper"], "belongs to root: give another folder with --data"),
        (["up", "--data", "{}/closed"], "belongs to root"),
    ],
)
def test_what_is_another_users_is_told_as_such(place: Path, words: list[str], said: str) -> None:
    assert said in told(ran([word.format(place) for word in words], user="nobody"))


def test_a_port_in_use_is_told_with_its_holder_and_no_older_error(place: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = held.getsockname()[1]
        (place / "open" / "logs").mkdir()
        (place / "open" / "logs" / "sandbox.log").write_text("an error of yesterday\n")
        output = told(ran(["up", "--data", f"{place}/open", "--port", str(taken)], user="myself"))
        assert f"port {taken} is taken by process {os.getpid()}" in output
        assert "yesterday" not in output


def test_kubectl_sinal_tells_it_too(place: Path) -> None:
    words = ["--kubeconfig", str(place / "none"), "status"]
    assert "kubectl" in told(ran(words, user="myself", program="sinal_cli.kubectl.commands"))
