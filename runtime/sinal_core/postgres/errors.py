"""Errors of the store. Which of them may be tried again is in the type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests


class StoreError(Exception):
    """Base of the store's errors."""


class StoreUnavailable(StoreError):
    """PostgreSQL cannot be reached or gave up this transaction; the same work may succeed later."""


class Contended(StoreUnavailable):
    """Another worker has something of this work in hand.

    What was in the same transaction may go on without it.
    """


class StoreRejected(StoreError):
    """PostgreSQL refuses this work; it will be refused again."""


class MigrationError(StoreError):
    """The database and the migrations of this release do not go together.

    The message says what to do.
    """


# A statement's own fault; everything else of OperationalError is the server, the network or another
# transaction.
_REJECTED = (pg.ProgramLimitExceeded,)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the store's two kinds.

    Values of rows never reach the message.
    """
    try:
        yield
    except _REJECTED as error:
        raise StoreRejected(_words(error)) from error
    except (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        PoolTimeout,
        PoolClosed,
        TooManyRequests,
    ) as error:
        raise StoreUnavailable(_words(error)) from error
    except psycopg.Error as error:
        raise StoreRejected(_words(error)) from error


def _words(error: Exception) -> str:
    """Class, SQLSTATE and the names PostgreSQL gives; its primary text may quote a value."""
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    parts = [type(error).__name__, error.sqlstate, error.diag.table_name, error.diag.column_name]
    return " ".join(part for part in parts if part)
