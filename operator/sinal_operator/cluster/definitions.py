"""The definitions of our kinds, as the cluster has them: which are on their way out, and which are
gone.

Told by a watch, so that a listing that finds no such kind is known to mean that there are no
objects of it, and not that an API server has just started. Without the right to watch definitions
nothing is told: every kind counts as there.
"""

from __future__ import annotations

import logging
from typing import Any

from sinal_operator.cluster.resources import CUSTOM, Resource

log = logging.getLogger(__name__)

DEFINITIONS = Resource(
    "CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions"
)
_KINDS = {f"{resource.plural}.{resource.group}": kind for kind, resource in CUSTOM.items()}


class Definitions:
    """Kinds whose definition does not stay."""

    def __init__(self) -> None:
        self._leaving: set[str] = set()
        self._gone: set[str] = set()

    def event(self, event_type: str | None, body: dict[str, Any]) -> None:
        """Note an event of a definition, without a type where it is part of a listing."""
        kind = _KINDS.get(body["metadata"]["name"])
        if kind is None:
            return
        gone, leaving = event_type == "DELETED", "deletionTimestamp" in body["metadata"]
        if leaving and not gone and kind not in self._leaving:
            log.warning("the definition of %s is being deleted, and all objects of it", kind)
        for kinds, holds in ((self._gone, gone), (self._leaving, leaving and not gone)):
            if holds:
                kinds.add(kind)
            else:
                kinds.discard(kind)

    def leaving(self, kind: str) -> bool:
        """Whether the definition is being deleted.

        Objects of it can be listed and patched still.
        """
        return kind in self._leaving

    def gone(self, kind: str) -> bool:
        """Whether there is no such definition any more."""
        return kind in self._gone
