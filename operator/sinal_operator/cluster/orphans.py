"""Plans whose Tenant is gone without the operator: its finalizer was taken away by hand while no
operator ran.

They stay in force until a person decides, because what is not in a listing may have been lost by
the API server too. So they are counted, and told once each. Where only some namespaces are served,
only plans of those are judged.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from sinal_crds.names import PLANS_BUCKET
from sinal_crds.sealing import PlanHolder
from sinal_operator import metrics

log = logging.getLogger(__name__)


class Orphans:
    """What was told already."""

    def __init__(self, namespaces: Sequence[str] = ()) -> None:
        self._namespaces = frozenset(namespaces)
        self._told: frozenset[PlanHolder] = frozenset()

    def look(
        self, holders: Iterable[PlanHolder], tenants: Collection[str]
    ) -> frozenset[PlanHolder]:
        """The plans of none of these Tenants, which are told by UID.

        Warns of new ones and sets the metric.
        """
        ours = (one for one in holders if not self._namespaces or one.namespace in self._namespaces)
        found = frozenset(one for one in ours if one.uid not in tenants)
        for one in sorted(found - self._told, key=lambda one: one.slug):
            log.warning(
                "plan %s is in force, and its Tenant %s is not there: its sales go on being taken "
                "and sent. Create the "
                "Tenant again and delete it, or remove the plan: nats kv del %s %s",
                one.slug,
                one,
                PLANS_BUCKET,
                one.slug,
            )
        self._told = found
        metrics.ORPHANED_PLANS.set(len(found))
        return found
