"""A row of the outbox as dispatch gets it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sinal_core.outbox.ledger import Ref

ERASED = "{}"  # payload of a row whose person was erased: it is never sent


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row; `fence` is the fencing token of the claim."""

    ref: Ref
    id: int
    created_at: datetime
    attempts: int
    fence: int
    source_event: str
    funnel: str
    payload_json: str
    consent_ads: bool | None
    received_at: datetime
    doubted: bool  # a lost worker may have sent it
