"""The spool: events wait on this process's disk while the broker does not take them.

Records go to append-only segments (`record`, `segment`), are durable before anybody is answered
(`spool`), and leave in each tenant's order once the broker takes them again (`replay`). `detour` is
what the edge sees of it. The room's invariant: what was promised is on disk until the broker has
acked it, and what cannot be promised is refused.
"""

from sinal_hub.spool.detour import Detour, SpoolState
from sinal_hub.spool.errors import SpoolBroken, SpoolError, SpoolFull, SpoolLocked
from sinal_hub.spool.record import Owner, SpoolEntry
from sinal_hub.spool.spool import Spool, SpoolLimits

__all__ = [
    "Detour",
    "Owner",
    "Spool",
    "SpoolBroken",
    "SpoolEntry",
    "SpoolError",
    "SpoolFull",
    "SpoolLimits",
    "SpoolLocked",
    "SpoolState",
]
