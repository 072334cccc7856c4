"""Writes statuses that differ from what the API server holds, and nothing else.

Invariants: a status that says already what is known is not written, so a quiet cluster sees no
writes; and a judgement is written only to the very version of the object that was judged, never to
a newer one or to a namesake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.event_recorder import EventRecorder, turns
from sinal_operator.cluster.object_cache import ObjectCache, Seen
from sinal_operator.cluster.resources import CUSTOM
from sinal_operator.cluster.status import Judgement, patch

log = logging.getLogger(__name__)


class StatusWriter:
    """Statuses and their events."""

    def __init__(
        self, client: ApiServerClient, object_cache: ObjectCache, recorder: EventRecorder
    ) -> None:
        self._client, self._object_cache, self._recorder = client, object_cache, recorder

    async def write(self, judgements: Iterable[tuple[Seen, Judgement]]) -> bool:
        """Write what differs.

        False when something could not be written and should be tried again.
        """
        now = datetime.now(UTC)
        patches = [(seen, patch(seen, judgement, now=now)) for seen, judgement in judgements]
        done = await asyncio.gather(
            *(self._write(seen, change) for seen, change in patches if change)
        )
        return all(done)

    async def _write(self, seen: Seen, change: dict[str, Any]) -> bool:
        kind, namespace, name = seen.key
        try:
            body = await self._client.patch_status(
                CUSTOM[kind], namespace, name, change, version=seen.version
            )
        except ApiServerUnreachable as error:
            log.info("status of %s %s/%s waits: %s", *seen.key, error)
            return False
        except ApiServerRefused as error:
            if not (error.gone or error.outdated):
                log.warning("status of %s %s/%s was refused: %s", *seen.key, error)
            # An outdated one is judged again, from the version that the next round sees.
            return error.gone
        # At once: the watch brings our own write too, and what is known already wakes nobody.
        self._object_cache.put(body)
        if "conditions" in change:
            for news in turns(seen.status.get("conditions") or [], change["conditions"]):
                self._recorder.tell(seen, *news)
        return True
