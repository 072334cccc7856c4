"""Manifests judged as a whole, offline: what `sinal manifests check` and `sinal up -f` say about
files.

What does not fit together is an error here, where a person can still change it; a running cluster
works on with what fits and shows the same findings as conditions. Secrets may live elsewhere: a
missing one is a notice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sinal_crds import explain, loading
from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import Loaded, ManifestError
from sinal_crds.models import KINDS
from sinal_crds.references import SECRET_REASONS, ReferenceProblem


@dataclass(frozen=True)
class CheckReport:
    """What a check found."""

    errors: tuple[ManifestError, ...]
    notices: tuple[str, ...]
    counts: Mapping[str, int]  # valid objects by kind, Secrets included

    def summary(self) -> str:
        """`1 Tenant, 2 Funnels …`, for a terminal."""
        parts = [
            f"{count} {kind}{'' if count == 1 else 's'}"
            for kind, count in self.counts.items()
            if count
        ]
        return ", ".join(parts) or "no objects"

    @property
    def empty(self) -> bool:
        """Whether there was nothing to judge."""
        return not self.errors and not any(self.counts.values())

    @property
    def ok(self) -> bool:
        """Whether the manifests can be used."""
        return not self.errors


def check(paths: Iterable[str | Path]) -> CheckReport:
    """Read files and folders and judge each object and how they fit together."""
    return judge(loading.load(paths))


def judge(loaded: Loaded) -> CheckReport:
    """The same for what is already read."""
    problems = [
        p
        # Any keyring does: what is minted of it is thrown away with the plans.
        for p in compile(loaded.objects, loaded.secrets, Keyring.generate()).problems
        if not _echo(p, loaded)
    ]
    errors = [_error(p, loaded) for p in problems if p.reason not in SECRET_REASONS]
    notices = [str(_error(p, loaded)) for p in problems if p.reason in SECRET_REASONS]
    return CheckReport(
        errors=(*loaded.errors, *loaded.duplicates, *errors),
        notices=(*loaded.notices, *notices, *_silent(loaded)),
        counts=_counts(loaded),
    )


def _echo(found: ReferenceProblem, loaded: Loaded) -> bool:
    """A reference to an object whose own errors are reported already, if only as to how it writes
    its name.
    """
    if found.target is None or found.target in loaded.broken:
        return found.target is not None
    kind, namespace, name = found.target
    return any(
        # An object without a name is "(no name)" among the broken ones, and may be the one that is
        # meant.
        (other_kind, other_space) == (kind, namespace) and _bare(other) in ("noname", _bare(name))
        for other_kind, other_space, other in loaded.broken
    )


def _bare(name: str) -> str:
    """A name without what names may not hold."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _error(found: ReferenceProblem, loaded: Loaded) -> ManifestError:
    origin = loaded.origins[found.kind, found.namespace, found.name]
    title = f"{found.kind} {found.namespace}/{found.name}"
    return ManifestError(
        origin.file, origin.line_of(explain.path_of(found.field)), title, found.field, found.message
    )


def _silent(loaded: Loaded) -> list[str]:
    """Funnels that are valid and send nothing anywhere."""
    place, words = ("spec", "destinationRefs"), "is empty, its conversions go nowhere"
    found = []
    for funnel in loaded.objects.funnels:
        if not funnel.spec.destination_refs:
            origin = loaded.origins[funnel.kind, funnel.namespace, funnel.name]
            title = f"{funnel.kind} {funnel.namespace}/{funnel.name}"
            found.append(
                str(
                    ManifestError(origin.file, origin.line_of(place), title, ".".join(place), words)
                )
            )
    return found


def _counts(loaded: Loaded) -> dict[str, int]:
    found = Counter(manifest.kind for manifest in loaded.objects)
    return {**{kind: found[kind] for kind in KINDS}, "Secret": len(loaded.secrets)}
