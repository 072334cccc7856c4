"""Whose a body seems to be, read without reading the rest: what a compressed one comes to costs
nobody but its sender.

A few kilobytes on the wire can be millions of values. They are made once their tenant's limit has
let them through.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sinal_core.http.problem import FieldError, invalid

MAX_VALUES = 256 * 1024  # of an inflated body; one that came as it is cannot have more
VALUE_BYTES = 8  # what a value counts for at least
_NULL = msgspec.Raw(b"null")


class Glance(NamedTuple):
    """The first event's `funnel`, a text or what is neither that nor None.

    Where it stands; what the body weighs.
    """

    funnel: object
    path: str
    weight: int  # its bytes, or more where they are many small values


class _Object(msgspec.Struct, gc=False):
    funnel: msgspec.Raw = _NULL
    events: msgspec.Raw = _NULL


def glance(data: bytes, *, batch: bool) -> Glance:
    """The first event's funnel.

    Raises Problem 400 without any event, or with more of anything than events have.
    """
    # those within texts are counted, too: it makes no values, and no honest body comes near it
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > MAX_VALUES:
        raise invalid(
            [FieldError("(body)", f"has more than {MAX_VALUES} values: send fewer events at once")]
        )
    weight = max(len(data), values * VALUE_BYTES)
    whole = _object(data)
    if not batch:
        return Glance(_text(whole.funnel), "", weight)
    try:
        events = msgspec.json.decode(whole.events, type=list[_Object])
    except msgspec.MsgspecError:
        events = []
    if not events:
        raise invalid([FieldError("events", "must be a list of 1 to 500 events, each an object")])
    own = _text(events[0].funnel)
    return Glance(_text(whole.funnel) if own is None else own, "events[0].", weight)


def _object(data: bytes) -> _Object:
    try:
        return msgspec.json.decode(data, type=_Object)
    except msgspec.ValidationError:
        raise invalid([FieldError("(body)", "must be a JSON object")]) from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid([FieldError("(body)", "is not valid JSON in UTF-8")]) from None


def _text(raw: msgspec.Raw) -> object:
    """A text or None; for anything else what is neither."""
    try:
        return msgspec.json.decode(raw, type=str | None)
    except (msgspec.MsgspecError, ValueError):
        return ()
