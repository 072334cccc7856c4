"""How the declared objects stand, for the metrics: how many are ready, and which are not, since
when and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from sinal_operator import metrics
from sinal_operator.cluster.conditions import READY, Condition, find
from sinal_operator.cluster.object_cache import Seen
from sinal_operator.cluster.status import Judgement
from sinal_operator.metrics import NotReady


class ReadinessMetrics:
    """Keeps the gauges.

    An object is broken since it ceased to be ready, whatever its status said meanwhile.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}  # uid of an object that is not ready -> Unix time

    def show(self, judged: Iterable[tuple[Seen, Judgement | None]]) -> None:
        """Bring the gauges to what was judged, and where nothing was, to what the status says."""
        found = [(seen, self._broken(seen, judgement)) for seen, judgement in judged]
        broken = {seen.uid: one for seen, one in found if one is not None}
        self._since = {uid: one.since for uid, one in broken.items()}
        metrics.show_objects((seen.key[0], one is None) for seen, one in found)
        metrics.show_not_ready(broken.values())

    def _broken(self, seen: Seen, judgement: Judgement | None) -> NotReady | None:
        known = find(seen.status.get("conditions") or (), READY)
        verdict = (
            next((v for v in judgement.verdicts if v.type == READY), None)
            if judgement is not None
            else None
        )
        state, reason = (
            (verdict.state, verdict.reason)
            if verdict
            else (known.get("status"), known.get("reason", ""))
        )
        if state == "True":
            return None
        since = self._since.get(seen.uid) or _told(known) or self._clock()
        return NotReady(*seen.key, reason=reason, since=since)


def _told(known: Condition) -> float:
    """When the status says that Ready ceased to be true.

    0 where it doesn't, as before the operator's first word.
    """
    if known.get("status", "True") == "True":
        return 0.0
    return datetime.fromisoformat(known["lastTransitionTime"]).timestamp()
