"""A Tenant that went and whose data are to go too (`deletionPolicy: Delete`), as the operator tells
the runtime.

The operator writes a departure before it takes the plan away, so whoever reads a later plan of the
slug can read the departure. The runtime removes it once the data are gone. `DEPARTURE_VERSION`
rises when a field changes its meaning.
"""

from __future__ import annotations

import hashlib

import msgspec

DEPARTURE_VERSION = 1


class Departure(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=DEPARTURE_VERSION):
    """Whose data are to be removed: those under the slug that came until `at` (Unix
    milliseconds).
    """

    slug: str
    uid: str
    namespace: str
    name: str
    at: int

    @property
    def key(self) -> str:
        """Where it stands in the bucket; of one Tenant there is one."""
        return f"{self.slug}.{hashlib.sha256(self.uid.encode()).hexdigest()[:16]}"


class UnknownDeparture(ValueError):
    """An entry of another version, or of something else."""


encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Departure).decode


def decode(entry: bytes) -> Departure:
    """An entry of the bucket; raises UnknownDeparture."""
    try:
        return _decode(entry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownDeparture(str(error)) from error
