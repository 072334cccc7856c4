"""Faults of a process sent to a receiver that speaks Sentry's protocol, for whoever sets
`SINAL_ERROR_REPORTS_DSN`.

A fault is a line of the log at level error that has an exception: by `exc_info`, or by the field
`at`, which says where one was raised. A refusal has neither. A report holds the line's name, the
exception's type and the places in the code, and no word of the exception's own: that may quote a
person. Without the setting nothing of this is imported.

Reports are few. A fault that comes again is sent once a minute, with how often it came; and all
together are bounded as well. Whatever the receiver does, the rest is a look-up in a table.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from sinal_core.telemetry import logs
from sinal_core.telemetry.places import where

AGAIN_S = 60.0  # between two reports of one fault
MOST = 20  # reports within AGAIN_S, of all faults together
REMEMBERED = 256  # faults
FLUSH_S = 2.0  # at the end of a process
# their lines would be reports of reports
_NOT_FOLLOWED = ("sentry_sdk", "urllib3")
_OURS = "sinal_"

Clock = Callable[[], float]
Key = tuple[str, str, str]


class ReportingMissing(RuntimeError):
    """SINAL_ERROR_REPORTS_DSN is set, but its library is not installed: install sinal[reports]"""


class BadAddress(ValueError):
    """SINAL_ERROR_REPORTS_DSN is not the address of a project: https://KEY@HOST/NUMBER"""


class Fault(NamedTuple):
    """What is reported."""

    message: str  # the line's name, or its logger's
    error: BaseException
    tenant: str | None  # its slug
    repeats: int  # that were not sent since the last report


class Sender(Protocol):
    """Where reports go; `sentry.SentrySender` in production."""

    def send(self, fault: Fault) -> None:
        """Take a report; never waits for the receiver."""
        ...

    def close(self, timeout_s: float) -> None:
        """Send what is left, for so long at most."""
        ...


class Ration:
    """Which faults are reported, and which only counted.

    Keeps `REMEMBERED` of them; one that is forgotten counts as new.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        # `report` is called by whoever meets a fault, in any thread
        self._lock = threading.Lock()
        self._seen: OrderedDict[Key, tuple[float, int]] = OrderedDict()
        self._left, self._filled = float(MOST), clock()

    def repeats(self, key: Key) -> int | None:
        """How often the fault came since its last report; None where this one is not sent."""
        with self._lock:
            now = self._clock()
            self._left = min(MOST, self._left + (now - self._filled) * MOST / AGAIN_S)
            self._filled = now
            at, count = self._seen.get(key, (-AGAIN_S, 0))
            sent = now - at >= AGAIN_S and self._left >= 1
            self._seen[key] = (now, 0) if sent else (at, count + 1)
            self._seen.move_to_end(key)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            if not sent:
                return None
            self._left -= 1
            return count


class FaultReports(logs.Kept):
    """A handler of the log that reports the faults among its lines."""

    def __init__(self, sender: Sender, *, clock: Clock = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._sender = sender
        self._ration = Ration(clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Report a line that is a fault."""
        if record.name.startswith(_NOT_FOLLOWED):
            return
        error = _error(record)
        if error is not None:
            self.report(error, _message(record), tenant=_tenant(record))

    def report(self, error: BaseException, message: str, *, tenant: str | None = None) -> None:
        """Report a fault, unless it is one too many; raises nothing."""
        try:
            repeats = self._ration.repeats((message, type(error).__qualname__, where(error)))
            if repeats is not None:
                self._sender.send(Fault(message, error, tenant, repeats))
        except Exception as failure:
            logging.getLogger(__name__).warning("not reported: %s", type(failure).__name__)

    def end(self) -> None:
        """Send what is left, within `FLUSH_S`."""
        self._sender.close(FLUSH_S)


def connect(dsn: str, *, role: str, release: str) -> FaultReports:
    """The reports of a process; raises BadAddress or ReportingMissing, without the address."""
    if not _is_address(dsn):
        raise BadAddress(BadAddress.__doc__)
    if find_spec("sentry_sdk") is None:
        raise ReportingMissing(ReportingMissing.__doc__)
    from sinal_core.telemetry.sentry import SentrySender

    return FaultReports(SentrySender(dsn, role=role, release=release))


def _is_address(dsn: str) -> bool:
    try:
        parts = urlsplit(dsn)
        # urlsplit looks at the port only when it is asked for it, and raises then
        _ = parts.port
    except ValueError:
        return False
    project = parts.path.rpartition("/")[2]
    return bool(
        parts.scheme in ("http", "https")
        and parts.username
        and parts.hostname
        and project.isascii()
        and project.isdigit()
    )


def _error(record: logging.LogRecord) -> BaseException | None:
    """The exception that a line tells of."""
    told: object = record.exc_info
    if isinstance(record.msg, dict):
        told = record.msg.get("exc_info") or record.msg.get("fault") or told
        if not told and "at" in record.msg:
            told = True
    if isinstance(told, tuple):
        told = told[1]
    if isinstance(told, BaseException):
        return told
    return sys.exc_info()[1] if told else None


def _message(record: logging.LogRecord) -> str:
    """A line's name, as it stands in the code; others' lines may be made of anything."""
    if not record.name.startswith(_OURS):
        return record.name
    return str(record.msg.get("event") if isinstance(record.msg, dict) else record.msg)


def _tenant(record: logging.LogRecord) -> str | None:
    tenant = record.msg.get("tenant") if isinstance(record.msg, dict) else None
    return tenant if isinstance(tenant, str) else None
