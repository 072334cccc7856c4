"""What services answer with that a store reads as it is: for doors, which know no store."""

from __future__ import annotations

from sinal_hub.store.api_keys import KeyRow, Role
from sinal_hub.store.audit import AuditRow
from sinal_hub.store.owners import HandedOver
from sinal_hub.store.privacy import Erasure
from sinal_hub.store.reading import EventDetail, EventFilter, Ledger, Page
from sinal_hub.store.replaying import Cause, LetterGroup

__all__ = [
    "AuditRow",
    "Cause",
    "Erasure",
    "EventDetail",
    "EventFilter",
    "HandedOver",
    "KeyRow",
    "Ledger",
    "LetterGroup",
    "Page",
    "Role",
]
