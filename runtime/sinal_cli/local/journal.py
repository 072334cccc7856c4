"""The log of a running `sinal up`: everything in a file of the data folder, headlines on the
terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from sinal_cli.local.bulletin import Headlines, Say
from sinal_core.telemetry.logs import configure

MOST_BYTES = 10 << 20  # of one file; two older ones are kept
KEPT = 2


@contextmanager
def journal(file: Path, say: Say) -> Iterator[None]:
    """The process's log goes there meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(file, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8")
    configure(level="info", json=False, handler=handler)
    root = logging.getLogger()
    root.addHandler(Headlines(say, file))
    try:
        yield
    finally:
        # Without any handler Python prints warnings on the terminal, even those of the last
        # moments.
        root.handlers[:] = [logging.NullHandler()]
        handler.close()
