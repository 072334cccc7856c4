"""What the cluster declares, as last seen: fed by watch events, put right by full listings.

Watches tell of changes fast, but an object that vanished while a watch was down is never told of; a
listing finds it. Invariant: an older version of an object never takes the place of a newer one.
(Versions of one resource are compared as numbers, as etcd makes them and as Kubernetes promises
since 1.35.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sinal_crds.loading import InvalidManifests, ObjectKey, Objects, parse
from sinal_crds.models import Manifest
from sinal_crds.names import GROUP

PAUSED = f"{GROUP}/paused"
ROTATE = f"{GROUP}/rotate"
FINALIZER = f"{GROUP}/finalizer"
HEIR = f"{GROUP}/heir-of"
_READ = (PAUSED, ROTATE, HEIR)

Body = dict[str, Any]


class WatchChange(Enum):
    """What an event meant."""

    NOTHING = 0
    STATUS = 1  # only its status: ours, or somebody's
    DECLARED = 2  # something that plans are made of


@dataclass(frozen=True)
class Seen:
    """One object as it was last seen.

    `manifest` is None where it is not what this release understands.
    """

    key: ObjectKey
    uid: str
    version: int
    generation: int
    deleting: bool
    kept: bool  # by our finalizer: it can't go without us
    annotations: dict[str, str]
    status: Body = field(repr=False)
    spec: Body = field(repr=False)
    manifest: Manifest | None = field(repr=False)
    fault: str = ""

    @property
    def paused(self) -> bool:
        """Whether a person asks to leave it alone for now."""
        return self.annotations.get(PAUSED, "false") != "false"

    @property
    def tenant(self) -> ObjectKey:
        """The Tenant it belongs to, itself included, whether that exists or not."""
        kind, namespace, name = self.key
        return (
            "Tenant",
            namespace,
            name if kind == "Tenant" else str(self.spec.get("tenantRef", "")),
        )

    def declares_as(self, other: Seen) -> bool:
        """Whether the other one comes to the same plans."""
        return self._declaration == other._declaration

    @property
    def _declaration(self) -> tuple[object, ...]:
        return self.uid, self.generation, self.deleting, self.kept, self.annotations


def key_of(body: Body) -> ObjectKey:
    """Kind, namespace and name."""
    return body["kind"], body["metadata"]["namespace"], body["metadata"]["name"]


def see(body: Body) -> Seen:
    """Read one object of the API server."""
    metadata = body["metadata"]
    try:
        manifest, fault = parse(body), ""
    except InvalidManifests as error:
        manifest, fault = None, "; ".join(f"{one.field}: {one.message}" for one in error.errors)
    annotations = metadata.get("annotations") or {}
    return Seen(
        key=key_of(body),
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        generation=metadata.get("generation", 1),
        deleting="deletionTimestamp" in metadata,
        kept=FINALIZER in (metadata.get("finalizers") or ()),
        # The others change without meaning anything here: kubectl and Argo CD write theirs at every
        # apply, and each would be news.
        annotations={name: annotations[name] for name in _READ if name in annotations},
        status=body.get("status") or {},
        spec=body.get("spec") or {},
        manifest=manifest,
        fault=fault,
    )


class ObjectCache:
    """Objects of the four kinds by key."""

    def __init__(self) -> None:
        self._seen: dict[ObjectKey, Seen] = {}
        self._declared_at: dict[ObjectKey, float] = {}
        self._removed: dict[ObjectKey, int] = {}  # while a listing is under way

    def __iter__(self) -> Iterator[Seen]:
        return iter(tuple(self._seen.values()))

    def get(self, key: ObjectKey) -> Seen | None:
        """The object as last seen, or None."""
        return self._seen.get(key)

    def put(self, body: Body) -> WatchChange:
        """Note an object."""
        seen = see(body)
        before = self._seen.get(seen.key)
        if before is not None and before.version > seen.version:
            return WatchChange.NOTHING
        self._seen[seen.key] = seen
        if before is None or not seen.declares_as(before):
            self._declared_at[seen.key] = time.monotonic()
            return WatchChange.DECLARED
        return WatchChange.NOTHING if seen.status == before.status else WatchChange.STATUS

    def remove(self, body: Body) -> WatchChange:
        """Note that an object is gone."""
        key, version = key_of(body), int(body["metadata"]["resourceVersion"])
        before = self._seen.get(key)
        if before is None or before.version > version:  # deleted and created again meanwhile
            return WatchChange.NOTHING
        self._forget(key)
        self._removed[key] = version
        return WatchChange.DECLARED

    def listing(self) -> None:
        """A listing begins: what is removed from now on must not come back with it."""
        self._removed.clear()

    def replace(self, kind: str, bodies: Iterable[Body], version: int) -> WatchChange:
        """Take a listing of one kind, made at that version, for what there is."""
        changes = []
        listed = set()
        for body in bodies:
            key = key_of(body)
            listed.add(key)
            if self._removed.get(key, 0) < int(body["metadata"]["resourceVersion"]):
                changes.append(self.put(body))
        for key, seen in list(self._seen.items()):
            # What is newer than the listing came after it, and is not missing.
            if key[0] == kind and key not in listed and seen.version <= version:
                self._forget(key)
                changes.append(WatchChange.DECLARED)
        return max(changes, key=lambda change: change.value, default=WatchChange.NOTHING)

    def declared_since(self, age_s: float) -> frozenset[ObjectKey]:
        """Objects that came, or were declared otherwise, within the last so many seconds."""
        limit = time.monotonic() - age_s
        return frozenset(key for key, at in self._declared_at.items() if at > limit)

    def _forget(self, key: ObjectKey) -> None:
        del self._seen[key]
        self._declared_at.pop(key, None)

    def objects(self) -> Objects:
        """What is declared: valid, and not on its way out; in a stable order."""
        found = (
            seen for seen in self._seen.values() if seen.manifest is not None and not seen.deleting
        )
        return Objects.of(
            seen.manifest
            for seen in sorted(found, key=lambda s: s.key)
            if seen.manifest is not None
        )
