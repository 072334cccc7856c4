"""What the manifests in files say at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sinal_crds.compile import Compilation, compile
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import SUFFIXES, ManifestError, ObjectKey, Objects, load
from sinal_crds.models import Destination, Funnel, GatewayIntegration, Manifest
from sinal_crds.references import ReferenceProblem
from sinal_crds.secrets import Secrets


@dataclass(frozen=True)
class Declared:
    """Objects, their Secrets, and the plans they come to."""

    objects: Objects = field(default_factory=Objects)
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    compilation: Compilation = field(
        default_factory=lambda: Compilation(plans=(), problems=(), minted={})
    )
    # objects that stand in the files again and are left out
    duplicates: tuple[ManifestError, ...] = ()

    @property
    def manifests(self) -> Mapping[ObjectKey, Manifest]:
        """The objects by kind, namespace and name."""
        return {key_of(one): one for one in self.objects}

    @property
    def problems(self) -> Mapping[ObjectKey, Sequence[ReferenceProblem]]:
        """What is wrong with how objects fit together, by object."""
        found: dict[ObjectKey, list[ReferenceProblem]] = {}
        for problem in self.compilation.problems:
            found.setdefault((problem.kind, problem.namespace, problem.name), []).append(problem)
        return found

    @property
    def slugs(self) -> Mapping[ObjectKey, str]:
        """Slugs of the tenants that have a plan."""
        return {("Tenant", plan.namespace, plan.name): plan.slug for plan in self.compilation.plans}


def keeping(
    now: Declared,
    before: Declared,
    tenants: Collection[ObjectKey],
    keyring: Keyring,
    *,
    reserved: ReservedHosts = NOTHING_RESERVED,
) -> Declared:
    """`now`, with the tenants of `before` that are leaving: their objects and Secrets as far as
    `now` has none such.
    """
    if not tenants:
        return now
    there = now.manifests
    known = before.objects
    members: list[Destination | Funnel | GatewayIntegration]
    members = [*known.destinations, *known.funnels, *known.integrations]
    theirs: list[Manifest] = [one for one in known.tenants if key_of(one) in tenants]
    theirs += [one for one in members if ("Tenant", one.namespace, one.spec.tenant_ref) in tenants]
    objects = [one for one in theirs if key_of(one) not in there]
    namespaces = {namespace for _, namespace, _ in tenants}
    # Their Secrets too: without them the plan that is kept would lose its tokens.
    values = {
        place: data for place, data in before.secrets.values.items() if place[0] in namespaces
    }
    kept = Secrets({**values, **now.secrets.values})
    found = compiled(Objects.of((*now.objects, *objects)), kept, keyring, reserved=reserved)
    return replace(found, duplicates=now.duplicates)


def key_of(manifest: Manifest) -> ObjectKey:
    """Kind, namespace and name."""
    return manifest.kind, manifest.namespace, manifest.name


def compiled(
    objects: Objects,
    secrets: Secrets,
    keyring: Keyring,
    *,
    reserved: ReservedHosts = NOTHING_RESERVED,
) -> Declared:
    """Objects with the plans that they come to."""
    return Declared(objects, secrets, compile(objects, secrets, keyring, reserved=reserved))


def read(
    files: Sequence[Path],
    keyring: Keyring,
    *,
    made: Path | None = None,
    reserved: ReservedHosts = NOTHING_RESERVED,
) -> Declared:
    """Load and compile.

    What lies in `made`, the API's folder, wins over nobody's file; raises InvalidManifests.
    """
    loaded = load(files, last=made)
    loaded.raise_for_errors()
    found = compiled(loaded.objects, loaded.secrets, keyring, reserved=reserved)
    return replace(found, duplicates=loaded.duplicates)


def fingerprint(files: Sequence[Path]) -> object:
    """Another value when a file has come, gone or changed."""
    return tuple(_marks(files))


def _marks(files: Sequence[Path]) -> Iterator[tuple[Any, ...]]:
    for path in files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if path.is_dir() and file.suffix not in SUFFIXES:
                continue
            try:
                stat = file.stat()
            except OSError:
                continue  # gone since it was listed
            # The inode as well: editors put a new file in place, and some file systems count whole
            # seconds.
            yield str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino
