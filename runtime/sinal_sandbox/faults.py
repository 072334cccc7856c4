"""Fault scripts: which request fails, how, and whether its events were stored before it failed.

The script is an ordered list; the first fault that applies to a request wins. `accepted` makes
in-doubt sends testable: a reset or a hang after the events were stored looks the same to the sender
as one before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from typing import Annotated, Literal

import msgspec

from sinal_sandbox.errors import GraphError

Kind = Literal[
    "latency",  # a normal answer, delay_ms late; the events are stored at arrival
    "hang",  # no answer; closed after delay_ms, if given
    "accept_then_hang",
    "timeout_after_accept",  # the same as accept_then_hang
    "reset",  # TCP reset instead of an answer
    "accept_then_reset",
    "answer_then_reset",  # half of the answer, then a reset
    "slow_body",  # the answer's body, a byte at a time over delay_ms
    "html",  # a proxy's HTML page instead of JSON
    "status_500",
    "throttle",
    "auth",
    "permission",
    "error",  # any Graph error: code, subcode, status
]
_STORING: frozenset[str] = frozenset(
    {
        "latency",
        "slow_body",
        "accept_then_hang",
        "timeout_after_accept",
        "accept_then_reset",
        "answer_then_reset",
    }
)
# Kind -> default HTTP status, code, subcode, is_transient, message
_ERRORS: dict[str, tuple[int, int, int | None, bool, str]] = {
    "status_500": (
        500,
        2,
        None,
        True,
        "An unexpected error has occurred. Please retry your request later.",
    ),
    "throttle": (429, 4, None, True, "(#4) Application request limit reached"),
    "auth": (
        401,
        190,
        460,
        False,
        "Error validating access token: The session has been invalidated.",
    ),
    "permission": (403, 200, None, False, "(#200) Permissions error"),
    "error": (400, 100, None, False, "Invalid parameter"),
}

MOST_TOKENS = 10_000  # remembered

NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Delay = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]  # ms
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class ScriptedFault(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One line of a script.

    `pixel`, `event_name` and `event_id` choose requests (one such event is enough).
    """

    kind: Kind
    pixel: str | None = None
    event_name: str | None = None
    event_id: str | None = None
    after: NonNegative = 0  # matching requests that pass first
    times: NonNegative | None = None  # None: for ever
    start_in_s: Seconds = 0.0
    for_s: Seconds | None = None  # counted from start_in_s
    probability: Probability = 1.0
    seed: int = 0
    delay_ms: Delay | None = None
    status: Status | None = None
    code: int | None = None
    subcode: int | None = None
    retry_after_s: NonNegative | None = None
    accepted: bool | None = None  # None: what the kind says

    @property
    def stores(self) -> bool:
        """Whether the events are validated and stored before the fault happens."""
        return self.kind in _STORING if self.accepted is None else self.accepted

    @property
    def is_for_all(self) -> bool:
        """Whether it chooses no pixel and no event."""
        return self.pixel is self.event_name is self.event_id is None

    def is_for_any_of(self, pixels: Collection[str]) -> bool:
        """Whether it chooses one of these pixels, and no event."""
        return self.pixel in pixels and self.event_name is self.event_id is None

    def error(self) -> GraphError:
        """The Graph error of the kinds that answer with one."""
        status, code, subcode, transient, message = _ERRORS[self.kind]
        own_code = self.code is not None and self.code != code
        return GraphError(
            f"(#{self.code}) {message.removeprefix(f'(#{code}) ')}" if own_code else message,
            code=code if self.code is None else self.code,
            subcode=None if own_code and self.subcode is None else self.subcode or subcode,
            status=self.status or status,
            transient=transient,
        )


class FaultScript(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /_sandbox/faults`: replaces the script in force, or adds to its end."""

    faults: list[ScriptedFault]
    append: bool = False


class InvalidScript(ValueError):
    """The body is no fault script; `field` is the JSON path of what is wrong."""

    def __init__(self, detail: str, field: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


_decode_script = msgspec.json.Decoder(FaultScript).decode
_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`")


def parse(body: bytes) -> FaultScript:
    """A script of JSON; raises InvalidScript naming the field."""
    try:
        script = _decode_script(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _invalid(str(error)) from error
    for place, fault in enumerate(script.faults):
        if fault.accepted is False and fault.kind in _STORING:
            raise InvalidScript(
                f"can't be false for {fault.kind}: its events are stored",
                f"faults[{place}].accepted",
            )
    return script


def _invalid(message: str) -> InvalidScript:
    found = _PATH.fullmatch(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    if unknown := _UNKNOWN.fullmatch(what):
        path, what = f"{path}.{unknown['name']}".lstrip("."), "is not a field of a fault script"
    return InvalidScript(what, path or "body")


class ActiveFault:
    """A fault in force and how often it was met."""

    def __init__(self, fault: ScriptedFault, *, posted_at_s: float) -> None:
        self.fault = fault
        self.matched = 0
        self.applied = 0
        self._starts_at_s = posted_at_s + fault.start_in_s
        self._random = random.Random(fault.seed)  # noqa: S311 - a repeatable choice is what is wanted

    def is_in_force(self, now_s: float) -> bool:
        """Whether its window is open and its `times` are not used up."""
        fault = self.fault
        if now_s < self._starts_at_s or (
            fault.for_s is not None and now_s >= self._starts_at_s + fault.for_s
        ):
            return False
        return fault.times is None or self.applied < fault.times

    def claims(
        self, pixel: str, names: Collection[str], ids: Collection[str], now_s: float
    ) -> bool:
        """Whether it applies to this request; counts the request."""
        fault = self.fault
        if (
            not self.is_in_force(now_s)
            or (fault.pixel is not None and fault.pixel != pixel)
            or (fault.event_name is not None and fault.event_name not in names)
            or (fault.event_id is not None and fault.event_id not in ids)
        ):
            return False
        self.matched += 1
        if self.matched <= fault.after or (
            fault.probability < 1 and self._random.random() >= fault.probability
        ):
            return False
        self.applied += 1
        return True


class FaultBoard:
    """The script in force; `clock` is monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._faults: list[ActiveFault] = []
        self._pixels: dict[str, set[str]] = {}  # by the token that came with requests for them

    def post(self, script: FaultScript) -> None:
        """Put a script in force; its windows count from now."""
        added = [ActiveFault(fault, posted_at_s=self._clock()) for fault in script.faults]
        self._faults = [*self._faults, *added] if script.append else added

    def clear(self) -> None:
        """No faults from here on."""
        self._faults = []

    def choose(self, pixel: str, events: list[object]) -> ScriptedFault | None:
        """The fault of this request, or None."""
        if not self._faults:
            return None
        now_s = self._clock()
        names, ids = (_values(events, key) for key in ("event_name", "event_id"))
        return next((f.fault for f in self._faults if f.claims(pixel, names, ids, now_s)), None)

    def used(self, token: str | None, pixel: str) -> None:
        """A token came with a request for a pixel."""
        if token and len(self._pixels) < MOST_TOKENS:
            self._pixels.setdefault(token, set()).add(pixel)

    def invalidates(self, token: str | None) -> ScriptedFault | None:
        """The `auth` fault in force for whatever is sent with this token to its pixels.

        Counts nothing.
        """
        now_s = self._clock()
        pixels = self._pixels.get(token or "", set())
        chosen = (f.fault for f in self._faults if f.fault.kind == "auth" and f.is_in_force(now_s))
        return next(
            (fault for fault in chosen if fault.is_for_all or fault.is_for_any_of(pixels)), None
        )

    def state(self) -> list[dict[str, object]]:
        """The script with its counters, as `GET /_sandbox/faults` shows it."""
        now_s = self._clock()
        return [
            {
                **{k: v for k, v in msgspec.to_builtins(f.fault).items() if v is not None},
                "in_force": f.is_in_force(now_s),
                "matched": f.matched,
                "applied": f.applied,
            }
            for f in self._faults
        ]


def _values(events: list[object], key: str) -> set[str]:
    found = (event.get(key) for event in events if isinstance(event, dict))
    return {value for value in found if isinstance(value, str)}
