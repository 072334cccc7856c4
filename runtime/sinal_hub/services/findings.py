"""One thing that was looked at, as every part of the state tells it."""

from __future__ import annotations

from typing import Literal

import msgspec

from sinal_hub.store.refusals import RefusalRow

Area = Literal[
    "services", "plans", "lanes", "destinations", "clocks", "tokens", "keys", "refusals", "spool"
]
Grade = Literal["ok", "warning", "failed"]


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """One thing that was looked at.

    `advice` where it is not as it should be, `refusal` where it is of refusals.
    """

    area: Area
    subject: str
    grade: Grade
    detail: str
    advice: str | None = None
    refusal: RefusalRow | msgspec.UnsetType = msgspec.UNSET
