"""Errors of the bus: the type says what to do, the message says it to a person.

`BusUnavailable` means *in doubt*: the broker may hold the message. Publishing it again with the
same `msg_id` is safe.
"""

from __future__ import annotations


class BusError(Exception):
    """The broker did not take what it was given."""


class BusUnavailable(BusError):
    """No connection, or no answer in time: keep the message and try again later."""


class LaneMissing(BusError):
    """No stream listens on the subject: the tenant is not provisioned (yet), or its stream is
    gone.
    """


class LaneFull(BusError):
    """The tenant's stream has reached its limit: the sender must slow down."""


class MessageTooLarge(BusError):
    """The message is larger than the broker takes; trying again cannot help."""


class BusRefused(BusError):
    """The broker answered with an error that no other type describes."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"the broker refused with error {err_code} ({code}): {description}")
        self.code = code
        self.err_code = err_code
