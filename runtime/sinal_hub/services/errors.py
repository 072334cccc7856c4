"""Why a service did not do what it was asked for, in the domain's words.

Doors translate, the API into problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class FieldFault(NamedTuple):
    """What is wrong with one field of a request."""

    field: str
    message: str


class ServiceError(Exception):
    """The message is for the person who asked, and names the way out; `faults` name fields."""

    def __init__(self, message: str, faults: Sequence[FieldFault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class NotFound(ServiceError):
    """It is not there, or the caller must not know of it."""


class Forbidden(ServiceError):
    """The caller may not do it."""


class Conflict(ServiceError):
    """The state of things speaks against it."""


class Invalid(ServiceError):
    """The request does not make sense as it stands."""


class Unprocessable(ServiceError):
    """The request makes sense here, and the cluster behind refuses it."""


class NotConfigured(ServiceError):
    """This installation lacks what it takes: asking again does not help."""


class Unavailable(ServiceError):
    """What it takes is away; asking again after `retry_after_s` makes sense."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Exhausted(Unavailable):
    """What it takes is used up for now: asking again after `retry_after_s` makes sense."""


def invalid(*faults: FieldFault) -> Invalid:
    """The error of these fields, told by the first."""
    return Invalid(f"{faults[0].field}: {faults[0].message}", faults)
