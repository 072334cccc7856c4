"""What the runtime saw of one tenant, on its way from housekeeping through the bucket
`sinal_status` into statuses.

Counts, names of objects and times: never a person, never a value of an event. Figures are coarse,
so that noise changes nothing. A reader takes no entry of a version it does not know. `STATUS_VERSION`
rises when a field changes its meaning; fields that come later are ignored by older readers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

STATUS_VERSION = 1
PULSE_KEY = "_pulse"  # beside the slugs, none of which begins so: says that the runtime still looks
ORPHANS_KEY = "_orphans"  # the operator's: plans in force whose Tenant it does not find
PULSE_S = 60  # it is written no more often
SILENT_S = 300  # without a pulse for so long, what the bucket holds is out of date

Breaker = Literal["Closed", "HalfOpen", "Open"]
# Why a destination's events do not arrive:
# token       Meta takes the access token no more
# permission  the token may not write to the pixel
# setup       there is no such pixel or dataset, or the version is none
# service     Meta fails, and the breaker is open
# throttled   Meta asks to wait, and nothing has come through for a while
# rejected    Meta refuses most of the events themselves
# stalled     events wait and nobody works on them
Trouble = Literal["token", "permission", "setup", "service", "throttled", "rejected", "stalled"]


class Observed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base: times are Unix seconds, whole minutes; None is never."""


class ObservedDestination(Observed, frozen=True, kw_only=True):
    """One destination."""

    backlog: int = 0
    breaker: Breaker = "Closed"
    trouble: Trouble | None = None
    code: int | None = None  # of Meta's last answer, where that is the trouble
    subcode: int | None = None
    last_success: int | None = None
    dead_letters: int = 0  # that wait for a person


class ObservedFunnel(Observed, frozen=True, kw_only=True):
    """One funnel."""

    events_24h: int = 0
    match_percent: float | None = None  # of the sales of 24 hours; None without any
    last_event: int | None = None


class ObservedIntegration(Observed, frozen=True, kw_only=True):
    """One gateway integration."""

    last_delivery: int | None = None
    rejects: int = 0  # of 24 hours: deliveries to its URL that failed their check
    drift: int = 0  # of 24 hours: deliveries that the adapter did not fully understand


class ObservedTenant(Observed, frozen=True, kw_only=True, tag_field="v", tag=STATUS_VERSION):
    """One tenant and all that belongs to it, by name."""

    backlog: int = 0
    events_24h: int = 0
    match_percent: float | None = None
    last_event: int | None = None
    silent: bool = False  # nothing for a day, after a week in which every day had events
    destinations: dict[str, ObservedDestination] = {}
    funnels: dict[str, ObservedFunnel] = {}
    integrations: dict[str, ObservedIntegration] = {}

    @property
    def urgent(self) -> object:
        """What a person should hear of at once; the rest can wait for its turn."""
        troubles = {
            name: (one.trouble, one.code, one.breaker == "Closed")
            for name, one in self.destinations.items()
        }
        return self.silent, troubles


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime's sign of life."""

    at: int  # Unix seconds


class UnknownStatusVersion(ValueError):
    """An entry of another version, or of something else."""


class Orphan(msgspec.Struct, frozen=True):
    """A plan in force without its Tenant, by slug, and what that Tenant was."""

    slug: str
    namespace: str
    name: str


_encode = msgspec.json.Encoder(order="deterministic").encode
_facts = msgspec.json.Decoder(ObservedTenant).decode
_pulse = msgspec.json.Decoder(Pulse).decode
_orphans = msgspec.json.Decoder(list[Orphan]).decode


def encode_orphans(orphans: Iterable[Orphan]) -> bytes:
    """The entry of ORPHANS_KEY."""
    return _encode(sorted(orphans, key=lambda one: one.slug))


def decode_orphans(entry: bytes) -> list[Orphan]:
    """The entry of ORPHANS_KEY; raises UnknownFacts."""
    try:
        return _orphans(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownStatusVersion(str(error)) from error


def encode(entry: ObservedTenant | Pulse) -> bytes:
    """An entry as the bucket holds it; the same facts give the same bytes."""
    return _encode(entry)


def decode(entry: bytes) -> ObservedTenant:
    """A tenant's entry; raises UnknownFacts."""
    try:
        return _facts(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownStatusVersion(str(error)) from error


def decode_pulse(entry: bytes) -> Pulse:
    """The entry of PULSE_KEY; raises UnknownFacts."""
    try:
        return _pulse(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownStatusVersion(str(error)) from error
