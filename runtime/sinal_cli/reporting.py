"""Faults of a command reported where `SINAL_ERROR_REPORTS_DSN` says, from its begin to its end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from sinal_cli.mistakes import is_mistake

# Read before `FaultSettings`, which declares it: whoever does not set it imports nothing for it, and a
# fault while settings are read is a fault as well.
DSN = "SINAL_ERROR_REPORTS_DSN"
ROLES = frozenset(
    {"api", "dispatch", "housekeeping", "ingest", "match", "metrics-adapter", "operator"}
)
# what a report may call a command: other words of a command line may be of a person
_COMMANDS = frozenset({"backup", "demo", "install", "migrate", "restore", "up"})


def reported(role: str, work: Callable[[], object]) -> object:
    """The work's result; 2 where the address of the receiver can't be meant.

    What the work raises goes on, and is reported before unless it is a mistake of somebody else's.
    """
    dsn = os.environ.get(DSN, "")
    if not dsn:
        return work()
    from sinal_core.telemetry import faults

    try:
        reports = faults.connect(dsn, role=role, release=version("sinal"))
    except (faults.BadAddress, faults.ReportingMissing) as error:
        print(error, file=sys.stderr)
        return 2
    root = logging.getLogger()
    root.addHandler(reports)
    try:
        return work()
    except Exception as error:
        if not is_mistake(error):
            reports.report(error, "cli.fault")
        raise
    finally:
        root.removeHandler(reports)
        reports.end()


def named(words: Sequence[str]) -> str:
    """The role of a command line, as reports are tagged with it."""
    if len(words) > 1 and words[0] == "run" and words[1] in ROLES:
        return words[1]
    return words[0] if words and words[0] in _COMMANDS else "cli"
