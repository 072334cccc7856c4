"""Errors of the bus: the type says what to do, the message says it to a person.

`BusUnavailable` means *in doubt*: the broker may hold the message. Publishing it again with the
same `msg_id` is safe. Whatever the broker itself answered with is a `BusRefused`, and where that
says what to do, of that type as well.
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
    """The broker answered with an error. `err_code` is JetStream's stable number of it."""

    def __init__(self, code: int, err_code: int, description: str, *, about: str = "") -> None:
        what = f"{about}: " if about else ""
        super().__init__(f"{what}{description} (error {err_code})")
        self.code = code
        self.err_code = err_code


class StreamMissing(BusRefused, LaneMissing):
    """The stream does not exist."""


class ConsumerMissing(BusRefused, LaneMissing):
    """The consumer does not exist."""


class StreamFull(BusRefused, LaneFull):
    """A limit of the stream is reached, and it takes nothing new."""


class PayloadTooLarge(BusRefused, MessageTooLarge):
    """The stream takes no message of that size."""


class BrokerBusy(BusRefused, BusUnavailable):
    """The broker can't do it now: it has no leader, or starts."""


class StorageExhausted(BusRefused, BusUnavailable):
    """The storage of the account or server is used up or reserved."""


class MessageMissing(BusRefused):
    """The message was never there, or is gone."""


class NameTaken(BusRefused):
    """A stream of that name exists with another configuration."""


class SubjectsTaken(BusRefused):
    """Another stream, or another consumer of the work queue, reads the same subjects."""
