"""Runs the tiers of CI in lanes beside one another, so that one works while another waits
(docs/developers/ci.md).

A lane is a list of tiers, one after the other; a tier is one command. What a tier says goes to a
file and is printed whole when it has ended; while it runs a line a minute says where it is. A tier
that fails fails the run, and the others are played all the same, but for those that need it: one
run tells of every fault. Nothing that a tier started is left: a process that outlives its tier is
ended, named, and fails the run. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

PR_SET_CHILD_SUBREAPER = 36
MARK = "SINAL_CI_TIER"  # in the environment of all that a tier starts
LIMIT_S = 85 * 60.0  # the run's: what hangs is shown before somebody else ends it unseen
SAYS_S = 60.0
GRACE_S = 30.0
LEAVES_S = 10.0
COUNTED = ("passed", "failed", "skipped", "errors")


@dataclass(frozen=True)
class Tier:
    """One command: `after` names tiers, of any lane, that it needs, `behind` those that it only
    lets go first.

    A higher `nice` leaves the processors to others.
    """

    name: str
    command: tuple[str, ...]
    after: frozenset[str] = frozenset()
    behind: frozenset[str] = frozenset()
    nice: int = 0


@dataclass
class Running:
    """A tier's process: it leads a process group of its own."""

    tier: Tier
    process: subprocess.Popen[bytes]
    log: Path
    began: float
    said: float

    @property
    def text(self) -> str:
        """All that it said so far."""
        return self.log.read_text(errors="replace")


@dataclass(frozen=True)
class Ended:
    """How a tier ended; `cpu_s` is of all processes of it that were waited for."""

    name: str
    code: int
    wall_s: float
    cpu_s: float
    counts: Mapping[str, int]


@dataclass
class Run:
    """Lanes that run; `play` is all of it."""

    lanes: Sequence[Sequence[Tier]]
    limit_s: float = LIMIT_S
    says_s: float = SAYS_S
    leaves_s: float = LEAVES_S
    _began: float = field(default_factory=time.monotonic)
    _running: list[Running] = field(default_factory=list)
    _ended: dict[str, Ended] = field(default_factory=dict)
    _unplayed: set[str] = field(default_factory=set)
    _failures: list[str] = field(default_factory=list)
    _trouble: str = ""  # why the run can't go on

    def play(self) -> int:
        """Run all tiers; 0 when each has ended well and left nothing behind."""
        # orphans of tiers come to this process
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, self._told_to_end)
        folder = Path(tempfile.mkdtemp(prefix="sinal-ci-"))
        waiting = [list(lane) for lane in self.lanes]
        try:
            while not self._trouble and (self._running or any(waiting)):
                self._start(waiting, folder)
                self._reap()
                self._look()
                time.sleep(0.1)
            if self._trouble:
                self._end_all()
        finally:
            self._clear()
            shutil.rmtree(folder)
        print(self.table(), flush=True)
        for failure in filter(None, (*self._failures, self._trouble)):
            say(f"FAILED: {failure}")
        return 1 if self._failures or self._trouble else 0

    def table(self) -> str:
        """Every tier that has ended: seconds, seconds of the processors, tests."""
        head = f"{'tier':<16}{'wall s':>8}{'CPU s':>8}" + "".join(f"{word:>9}" for word in COUNTED)
        lines = [head, *(_row(ended) for ended in self._ended.values())]
        counts = {
            word: sum(ended.counts.get(word, 0) for ended in self._ended.values())
            for word in COUNTED
        }
        cpu_s = sum(ended.cpu_s for ended in self._ended.values())
        return "\n".join(
            [*lines, _row(Ended("all", 0, time.monotonic() - self._began, cpu_s, counts))]
        )

    def _start(self, waiting: list[list[Tier]], folder: Path) -> None:
        """Start the next tier of each lane that has none running and whose needs have ended."""
        busy = {running.tier for running in self._running}
        for lane, left in zip(self.lanes, waiting, strict=True):
            while left and (
                lost := [
                    need for need in left[0].after if need in self._ended and self._ended[need].code
                ]
            ):
                self._unplayed.add(left[0].name)
                self._failures.append(
                    f"{left.pop(0).name} was not played: it needs {', '.join(lost)}"
                )
            gone = self._ended.keys() | self._unplayed
            if left and not busy.intersection(lane) and gone >= left[0].after | left[0].behind:
                self._running.append(_started(left.pop(0), folder))
        if not self._running and any(waiting):
            names = [left[0].name for left in waiting if left]
            self._trouble = (
                self._trouble or f"nothing can start: {', '.join(names)} wait for one another"
            )

    def _reap(self) -> None:
        """Take in what has ended: tiers, and orphans of theirs."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for running in [one for one in self._running if one.process.pid == pid]:
                running.process.returncode = os.waitstatus_to_exitcode(status)
                self._running.remove(running)
                self._end(running, usage.ru_utime + usage.ru_stime)

    def _end(self, running: Running, cpu_s: float) -> None:
        name, code, text = running.tier.name, running.process.returncode, running.text
        wall_s = time.monotonic() - running.began
        self._ended[name] = Ended(name, code, wall_s, cpu_s, counted(text))
        word = "ended well" if code == 0 else f"FAILED with {code}"
        show(f"{name} {word} after {wall_s:.0f} s", text)
        left = remains(name)
        patience = time.monotonic() + self.leaves_s
        # those that were killed last are on their way out
        while left and time.monotonic() < patience:
            time.sleep(0.1)
            left = remains(name)
        if code != 0:
            self._failures.append(f"{name} ended with {code}; what it said is above")
        elif left:
            self._failures.append(f"{name} left processes behind: {'; '.join(left.values())}")

    def _look(self) -> None:
        """Say where each tier is, and see to the run's time."""
        now = time.monotonic()
        for running in self._running:
            if now - running.said >= self.says_s:
                running.said = now
                say(f"{running.tier.name}: {now - running.began:.0f} s, {last_line(running.text)}")
        if now - self._began > self.limit_s:
            self._trouble = self._trouble or f"not done after {self.limit_s:.0f} s"

    def _end_all(self) -> None:
        """Interrupt what runs, so that it cleans up; what does not end in time is killed."""
        for running in self._running:
            say(f"ending {running.tier.name}")
            _signal_group(running.process.pid, signal.SIGINT)
        deadline = time.monotonic() + GRACE_S
        interrupted = list(self._running)
        while self._running and time.monotonic() < deadline:
            self._reap_quietly()
            time.sleep(0.1)
        for running in self._running:
            _signal_group(running.process.pid, signal.SIGKILL)
        for running in interrupted:
            show(
                f"{running.tier.name} was ended after {time.monotonic() - running.began:.0f} s",
                running.text,
            )
        self._running.clear()

    def _reap_quietly(self) -> None:
        for running in list(self._running):
            if running.process.poll() is not None:
                self._running.remove(running)

    def _clear(self) -> None:
        """Kill whatever tiers have left, until nothing is there.

        What shows itself only now fails the run.
        """
        names = [tier.name for lane in self.lanes for tier in lane]
        seen: set[int] = set()
        while left := {pid: what for name in names for pid, what in remains(name).items()}:
            for pid in left.keys() - seen:
                say(f"killing what was left: {left[pid]}")
                _signal(pid, signal.SIGKILL)
                # a process shows nothing while it becomes another program
                if not self._failures and not self._trouble:
                    self._failures.append(f"a tier left {left[pid]}")
            seen.update(left)
            time.sleep(0.1)
        self._reap()

    def _told_to_end(self, number: int, _: FrameType | None) -> None:
        self._trouble = self._trouble or f"told to end by {signal.Signals(number).name}"


def say(what: str) -> None:
    """A line with the time."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", flush=True)


def show(title: str, text: str) -> None:
    """All that a tier said, under a title."""
    rule = "-" * 100
    print(f"\n{rule}\n[{time.strftime('%H:%M:%S')}] {title}\n{rule}\n{text.rstrip()}\n", flush=True)


def counted(text: str) -> dict[str, int]:
    """Tests by how they ended, of every closing line of pytest in a text."""
    found: dict[str, int] = {}
    for line in re.findall(r"^=+ (.*\d+ \w+.*) in [\d.]+s.* =+$", text, re.MULTILINE):
        for number, word in re.findall(r"(\d+) (\w+)", line):
            key = "errors" if word == "error" else word
            found[key] = found.get(key, 0) + int(number)
    return found


def last_line(text: str) -> str:
    """The last line that says something, short, and without what makes it a closing line of
    pytest.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].strip("= ")[-100:] if lines else "nothing said yet"


def remains(name: str) -> dict[int, str]:
    """Processes that a tier started and that live, by their id."""
    mark, found = f"{MARK}={_mark(name)}".encode(), {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                command = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                if command:  # a zombie has none
                    found[int(folder.name)] = f"{folder.name} {command.strip()[:200]}"
        except OSError:
            continue  # it ended, or is somebody else's
    return found


def _mark(name: str) -> str:
    """A tier of this run: another run on the same machine has tiers of the same names."""
    return f"{os.getpid()}/{name}"


def _started(tier: Tier, folder: Path) -> Running:
    log = folder / f"{tier.name}.log"
    command = ["nice", "-n", str(tier.nice), *tier.command] if tier.nice else list(tier.command)
    say(f"{tier.name} begins: {' '.join(tier.command)}")
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, MARK: _mark(tier.name)},
        )
    now = time.monotonic()
    return Running(tier, process, log, now, now)


def _row(ended: Ended) -> str:
    numbers = "".join(f"{ended.counts.get(word, 0) or '':>9}" for word in COUNTED)
    return f"{ended.name:<16}{ended.wall_s:>8.0f}{ended.cpu_s:>8.0f}{numbers}".rstrip()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def make(
    target: str, *words: str, after: Sequence[str] = (), behind: Sequence[str] = (), nice: int = 0
) -> Tier:
    """A target of the Makefile as a tier."""
    return Tier(
        target,
        ("make", "--no-print-directory", target, *words),
        frozenset(after),
        frozenset(behind),
        nice,
    )


def lanes(*, node: bool, day: int) -> list[list[Tier]]:
    """What CI runs.

    `node`: whether this machine may run a Kubernetes node; `day` chooses the seeds of chaos.
    """
    turn = 27  # schedules in which each main fault comes once
    builds = [make("cluster-assets", nice=5)]
    parts = [make(name, nice=10) for name in ("lint", "types", "site", "integration")]
    cluster = [make(name, after=["cluster-assets"]) for name in ("charts", "cluster")]
    whole = [
        make("acceptance"),
        make("chaos", f"SCHEDULES={turn}", f"SEED={1 + day * turn}"),
        make("monitoring"),
    ]
    whole += [make("demo", "ARGS=--json")]
    # What only computes: the node leaves most of the machine to it, and its pods come first.
    others = ["cluster", "demo", "integration", "matrix"] if node else []
    computes = [make(name, behind=others, nice=10) for name in ("unit", "browser", "firefox")]
    found = [builds, parts, cluster, whole, computes]
    if node:
        builds.append(Tier("node-build", ("tests/e2e/on-node.sh", "build"), nice=5))
        # Its pods start under probes and time limits of a cluster: nothing is beside it that starts
        # services, or goes before it.
        found.append([make("e2e-node", after=["node-build"], behind=others)])
    # last in its lane: nobody waits for it
    builds.append(make("matrix", "ARGS=--demo-only", nice=10))
    return found


def node_allowed() -> str:
    """Nothing when this machine can run a node, else the reason.

    Raises SystemExit when it ought to and does not.
    """
    done = subprocess.run(
        ["tests/e2e/on-node.sh", "able"], text=True, capture_output=True, check=False
    )
    if done.returncode not in {0, 3}:
        raise SystemExit(
            f"tests/e2e/on-node.sh able ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stderr.strip() if done.returncode else ""


def only(wanted: Sequence[str], of: Sequence[Sequence[Tier]]) -> list[list[Tier]]:
    """The lanes without what is not wanted; all when nothing is named.

    Raises SystemExit for an unknown name.
    """
    names = {tier.name for lane in of for tier in lane}
    if unknown := set(wanted) - names:
        raise SystemExit(
            f"no tier {', '.join(sorted(unknown))}; there are: {', '.join(sorted(names))}"
        )
    kept = set(wanted) or names
    return [
        [
            replace(tier, after=tier.after & kept, behind=tier.behind & kept)
            for tier in lane
            if tier.name in kept
        ]
        for lane in of
    ]


def main(words: Sequence[str]) -> int:
    """The whole of it, or the tiers that are named, in the folder of the checkout."""
    refused = node_allowed()
    code = Run(only(words, lanes(node=not refused, day=int(time.time() // 86_400)))).play()
    if refused:
        print(f"\ne2e-node NOT RUN: {refused}\n", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
