"""What is shown of chores: how long runs take, which failed and where, and when any replica
succeeded last.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from sinal_core.aio.periodic import LeaseLost, Run
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where

log = structlog.get_logger(__name__)


def record(run: Run) -> None:
    """Count a run, and log it where it failed."""
    metrics.CHORE_SECONDS.labels(run.task).observe(run.took_s)
    if run.error is None:
        return
    metrics.CHORE_FAILURES.labels(run.task).inc()
    if isinstance(run.error, LeaseLost):
        # Not a fault: another replica has the chore, and chores may run twice.
        log.warning("chore.lease_lost", chore=run.task)
    else:
        log.error(
            "chore.failed",
            chore=run.task,
            error=type(run.error).__name__,
            at=where(run.error),
            fault=run.error,
        )


def show(successes: Mapping[str, float]) -> None:
    """Show when each chore succeeded last, in any replica."""
    for name, at in successes.items():
        metrics.CHORE_LAST_SUCCESS.labels(name).set(at)


def note(run: Run) -> None:
    """Log a look at what replicas did that failed: PostgreSQL may be away for a while."""
    if run.error is not None:
        log.warning("chore.unavailable", chore=run.task, error=type(run.error).__name__)
