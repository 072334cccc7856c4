"""Kopf's part: watches, and the finalizer of Tenants.

Handlers note what they saw; the reconciler decides.

Watch events are taken with `on.event`, which writes nothing to the objects; only a Tenant's
deletion needs Kopf's bookkeeping. So no annotation is left on anything but a Tenant whose deletion
waits. Every handler is a coroutine: Kopf runs plain functions in threads, and the object_cache
belongs to the loop.
"""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import Any

import kopf

from sinal_crds.names import GROUP, VERSION
from sinal_operator.cluster.definitions import DEFINITIONS, Definitions
from sinal_operator.cluster.desired_state import DesiredState
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.login import login
from sinal_operator.cluster.object_cache import FINALIZER, see
from sinal_operator.cluster.reconciler import Reconciler
from sinal_operator.cluster.resources import CUSTOM, SECRETS, SECRETS_SELECTOR

log = logging.getLogger(__name__)

ATTEMPT_S = 10.0  # how long one attempt to delete waits before it is noted as failed
TENANTS = CUSTOM["Tenant"]


class _NoDiffs(kopf.DiffBaseStorage):
    """Kopf compares an object with what it saw last.

    We compare whole states, so there is nothing to store.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:
        return {}

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        pass


def settings(*, namespaced: bool = False) -> kopf.OperatorSettings:
    """How Kopf is to work: own names, no default that waits for minutes."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = FINALIZER
    # Annotations, because a structural schema prunes what Kopf would note in the status. Without
    # `v1=False` it writes each note under its key of older releases too.
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    chosen.persistence.diffbase_storage = _NoDiffs()
    chosen.posting.enabled = False  # events are the reconciler's
    # Kopf waits for a minute after an error of a handler unless told otherwise.
    chosen.execution.default_backoff = 5.0
    chosen.networking.request_timeout = 30.0
    chosen.networking.error_backoffs = (0.5, 1, 2, 3, 5, 8)
    chosen.queueing.error_delays = (1, 1, 2, 3, 5, 8, 13, 21, 34, 60)
    chosen.queueing.worker_limit = 256  # of each kind; a worker that idles keeps its place …
    chosen.queueing.idle_timeout = 0.5  # … so it must not idle for long
    chosen.queueing.exit_timeout = 1.0
    chosen.watching.chunk_size = 500
    chosen.watching.connect_timeout = 10.0
    chosen.watching.field_selectors[SECRETS.version, SECRETS.plural] = SECRETS_SELECTOR
    chosen.scanning.disabled = namespaced  # it would watch the cluster's definitions and namespaces
    return chosen


def registry(
    survey: DesiredState,
    reconciler: Reconciler,
    departures: Finalization,
    recorder: EventRecorder,
    definitions: Definitions,
    *,
    patience_s: float,
    namespaced: bool = False,
) -> kopf.OperatorRegistry:
    """The handlers, bound to what they tell."""
    found = kopf.OperatorRegistry()
    kopf.on.login(registry=found)(login)

    async def seen(event: Any, **_: Any) -> None:
        if survey.saw(event["type"], event["object"]):
            reconciler.wake()

    async def secret_seen(event: Any, **_: Any) -> None:
        if survey.saw_secret(event["type"], event["object"]):
            reconciler.wake()

    async def retire(body: kopf.Body, uid: str, runtime: timedelta, **_: Any) -> None:
        outcome = await departures.outcome(uid, ATTEMPT_S)
        if outcome is not None:
            log.info(
                "Tenant %s/%s is gone: %s", body.metadata.namespace, body.metadata.name, outcome
            )
            return
        # Kopf notes on the Tenant when it first tried, so that a restart of ours does not begin
        # anew.
        if runtime.total_seconds() < patience_s:
            delay_s = random.uniform(0.5, 2)  # noqa: S311 - jitter
            raise kopf.TemporaryError("NATS still has what is its own", delay=delay_s)
        # Returning lets it go: a broker that is away must not keep a namespace from ending.
        departures.give_up(see(dict(body)), recorder, patience_s)

    async def definition_seen(event: Any, **_: Any) -> None:
        definitions.event(event["type"], event["object"])

    for kind in CUSTOM.values():
        kopf.on.event(kind.group, kind.version, kind.plural, id="seen", registry=found)(seen)
    kopf.on.event(SECRETS.version, SECRETS.plural, id="secret-seen", registry=found)(secret_seen)
    if not namespaced:
        where = DEFINITIONS
        kopf.on.event(
            where.group, where.version, where.plural, id="definition-seen", registry=found
        )(definition_seen)
    kopf.on.delete(GROUP, VERSION, TENANTS.plural, id="retire", registry=found)(retire)
    return found
