"""What the operating system says of processes, and percentiles of what a bench has measured."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on; an empty list when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, of all below it and of those below it that have ended."""
    fields = [stat for one in tree(pid) if (stat := _stat(one))]
    return sum(sum(map(int, stat[11:13])) for stat in fields) / _TICK + _ended(pid)


def _ended(pid: int) -> float:
    stat = _stat(pid)
    return sum(map(int, stat[13:15])) / _TICK if stat else 0.0


def busy_s() -> float:
    """CPU seconds of the whole machine so far, whoever used them, stolen by the hypervisor
    included.
    """
    numbers = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    user, nice, system, _idle, _iowait, irq, softirq, steal = numbers
    return (user + nice + system + irq + softirq + steal) / _TICK


def memory_mb(pid: int) -> float:
    """MiB resident.

    Of several processes that share memory, the sum of their proportional shares.
    """
    pids = tree(pid)
    if len(pids) > 1:
        return sum(map(_share_kb, pids)) / 1024
    return _resident_kb(pid) / 1024


def _resident_kb(pid: int) -> float:
    stat = _stat(pid)
    return int(stat[21]) * _PAGE / 1024 if stat else 0.0


def _share_kb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return _resident_kb(pid)
    return next(
        (float(line.split()[1]) for line in lines if line.startswith("Pss:")), _resident_kb(pid)
    )


def percentile(values: Iterable[float], share: float) -> float:
    """Nearest rank; NaN of nothing."""
    ordered = sorted(values)
    return (
        ordered[min(len(ordered) - 1, math.ceil(len(ordered) * share) - 1)] if ordered else math.nan
    )
