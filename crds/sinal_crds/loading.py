"""Manifests from files, folders, text or the API server, as validated objects.

All faults are collected, each with its file, line, object and field, so that one run shows a person
everything. Invariant: what is in `objects` is valid by itself, and the first of its name in the
order of the files; how objects fit together is judged by `compile`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sinal_crds import explain, yamldoc
from sinal_crds.models import KINDS, Destination, Funnel, GatewayIntegration, Manifest, Tenant
from sinal_crds.models.common import Metadata
from sinal_crds.names import API_VERSION, GROUP
from sinal_crds.secrets import BadSecret, Secrets, secret_data
from sinal_crds.yamldoc import Document, YamlFault

SUFFIXES = (".yaml", ".yml", ".json")
ObjectKey = tuple[str, str, str]  # kind, namespace, name


@dataclass(unsafe_hash=True)  # not frozen: Python writes tracebacks into exceptions
class ManifestError(Exception):
    """One fault of one manifest.

    Prints as `file:line: Kind ns/name: spec.field: message; way out`.
    """

    file: str
    line: int | None
    object: str
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.object, self.field, self.message) if part)


class InvalidManifests(Exception):
    """Manifests that can't be used; `errors` says why, one line each."""

    def __init__(self, errors: tuple[ManifestError, ...]) -> None:
        self.errors = errors
        super().__init__("\n".join(map(str, errors)))


@dataclass(frozen=True)
class Objects:
    """Valid objects of the four kinds, in the order they were found."""

    tenants: tuple[Tenant, ...] = ()
    destinations: tuple[Destination, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    integrations: tuple[GatewayIntegration, ...] = ()

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Objects:
        """Sort objects into their kinds."""
        found = list(manifests)
        return cls(
            tenants=tuple(m for m in found if isinstance(m, Tenant)),
            destinations=tuple(m for m in found if isinstance(m, Destination)),
            funnels=tuple(m for m in found if isinstance(m, Funnel)),
            integrations=tuple(m for m in found if isinstance(m, GatewayIntegration)),
        )

    def __iter__(self) -> Iterator[Manifest]:
        return iter((*self.tenants, *self.destinations, *self.funnels, *self.integrations))


@dataclass(frozen=True)
class Origin:
    """Where an object was read."""

    file: str
    document: Document
    prefix: yamldoc.Path = ()  # path of the object inside the document, for items of a List

    def line_of(self, path: yamldoc.Path) -> int:
        """Line of one of the object's fields."""
        return self.document.line_of((*self.prefix, *path))


@dataclass(frozen=True)
class Loaded:
    """What a set of files holds."""

    objects: Objects
    secrets: Secrets
    errors: tuple[ManifestError, ...] = ()
    duplicates: tuple[ManifestError, ...] = ()  # objects that stand a second time and are left out
    notices: tuple[str, ...] = ()
    origins: Mapping[ObjectKey, Origin] = field(default_factory=dict, repr=False)
    broken: frozenset[ObjectKey] = frozenset()  # objects that are there but have errors

    def raise_for_errors(self) -> None:
        """Raise InvalidManifests if anything could not be read.

        A duplicate costs nobody but itself.
        """
        if self.errors:
            raise InvalidManifests(self.errors)


STDIN = "-"


def load(paths: Iterable[str | Path], *, last: Path | None = None) -> Loaded:
    """Read files and folders (recursively: *.yaml, *.yml, *.json), each file once.

    `-` is standard input.

    What lies in the folder `last` comes after everything else: it never wins over an object of the
    same name.
    """
    collector = _Collector()
    late: list[Path] = []
    read: set[Path] = set()
    for path in paths:
        if str(path) == STDIN:
            collector.take(sys.stdin.read(), "<stdin>")
            continue
        for file in _files(Path(path), collector):
            resolved = file.resolve()
            if resolved in read:
                continue
            read.add(resolved)
            if last is not None and resolved.is_relative_to(last.resolve()):
                late.append(file)
            else:
                _read(file, collector)
    for file in late:
        _read(file, collector)
    return collector.loaded()


def load_text(text: str, *, source: str = "<text>") -> Loaded:
    """Read manifests from text; `source` stands for the file's name in errors."""
    collector = _Collector()
    collector.take(text, source)
    return collector.loaded()


def parse(data: Mapping[str, Any]) -> Manifest:
    """One object as the API server gives it; raises InvalidManifests."""
    document = Document(data=dict(data), line=0)
    collector = _Collector()
    collector.add(Origin("", document), document.data)
    if not collector.errors and not collector.manifests:
        collector.fail(Origin("", document), "", (), f"is not an object of {API_VERSION}")
    collector.loaded().raise_for_errors()
    return collector.manifests[0]


def _files(path: Path, collector: _Collector) -> Iterator[Path]:
    if not path.exists():
        collector.errors.append(ManifestError(str(path), None, "", "", "no such file or folder"))
    elif not path.is_dir():
        yield path
    else:
        for file in sorted(path.rglob("*")):
            # A mounted ConfigMap has each of its files a second time, below a folder that begins
            # with `..`.
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.is_file() and file.suffix in SUFFIXES and not hidden:
                yield file


def _read(file: Path, collector: _Collector) -> None:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        collector.errors.append(
            ManifestError(str(file), None, "", "", "is not UTF-8 text; save it as UTF-8")
        )
    except OSError as error:
        collector.errors.append(
            ManifestError(str(file), None, "", "", f"can't be read: {error.strerror}")
        )
    else:
        if file.stem == "kustomization":
            collector.notices.append(
                f"{file}: skipped, it is kustomize's; apply what `kubectl kustomize` prints"
            )
        else:
            collector.take(text, str(file))


class _Collector:
    """Gathers objects, Secrets, faults and notices over files."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.errors: list[ManifestError] = []
        self.duplicates: list[ManifestError] = []
        self.notices: list[str] = []
        self.origins: dict[ObjectKey, Origin] = {}
        self.broken: set[ObjectKey] = set()

    def loaded(self) -> Loaded:
        return Loaded(
            objects=Objects.of(self.manifests),
            secrets=Secrets(self.secrets),
            errors=tuple(self.errors),
            duplicates=tuple(self.duplicates),
            notices=tuple(self.notices),
            origins=self.origins,
            broken=frozenset(self.broken),
        )

    def take(self, text: str, source: str) -> None:
        for document in yamldoc.documents(text):
            origin = Origin(source, document)
            if document.faults:
                self._fail_all(origin, document.data, list(document.faults))
            else:
                self.add(origin, document.data)

    def add(self, origin: Origin, data: Any) -> None:
        """One object, or the items of a List."""
        if not isinstance(data, dict):
            self.fail(
                origin,
                "",
                (),
                "is not a manifest; a manifest has apiVersion, kind, metadata and spec",
            )
        elif (
            data.get("kind") == "List"
            and data.get("apiVersion") == "v1"
            and isinstance(data.get("items"), list)
        ):
            for index, item in enumerate(data["items"]):
                self.add(
                    Origin(origin.file, origin.document, (*origin.prefix, "items", index)), item
                )
        elif (version := data.get("apiVersion")) == "v1" and data.get("kind") == "Secret":
            self._secret(origin, data)
        elif version == API_VERSION and data.get("kind") in KINDS:
            self._object(origin, KINDS[data["kind"]], data)
        else:
            self._other(origin, data)

    def fail(
        self,
        origin: Origin,
        name: str,
        path: yamldoc.Path,
        message: str,
        *,
        line: int | None = None,
    ) -> None:
        where = line or origin.line_of(path) or None
        self.errors.append(
            ManifestError(origin.file, where, name, explain.path_text(path), message)
        )

    def _object(self, origin: Origin, model: type[Manifest], data: dict[str, Any]) -> None:
        try:
            manifest = model.model_validate(data)
        except ValidationError as error:
            self._fail_all(origin, data, explain.faults(error, model))
            return
        if self._is_new(origin, (manifest.kind, manifest.namespace, manifest.name)):
            self.manifests.append(manifest)

    def _secret(self, origin: Origin, data: dict[str, Any]) -> None:
        try:
            metadata = Metadata.model_validate(data.get("metadata") or {})
            values = secret_data(data)
        except ValidationError as error:
            inner = explain.faults(error, Metadata)
            self._fail_all(
                origin, data, [YamlFault(("metadata", *f.path), f.message) for f in inner]
            )
        except BadSecret as error:
            self._fail_all(origin, data, [YamlFault(error.path, str(error))])
        else:
            if self._is_new(origin, ("Secret", metadata.namespace, metadata.name)):
                self.secrets[metadata.namespace, metadata.name] = values

    def _fail_all(self, origin: Origin, data: Any, faults: list[YamlFault]) -> None:
        title = _title(data) if isinstance(data, dict) else ""
        if title:
            kind, _, name = title.partition(" ")
            self.broken.add((kind, *name.split("/", 1)))  # type: ignore[arg-type]  # the title has one slash
        for fault in sorted(faults, key=lambda fault: fault.line or origin.line_of(fault.path)):
            self.fail(origin, title, fault.path, fault.message, line=fault.line)

    def _is_new(self, origin: Origin, key: ObjectKey) -> bool:
        first = self.origins.setdefault(key, origin)
        if first is origin:
            return True
        kind, namespace, name = key
        message = f"is defined before, at {first.file}:{first.line_of(())}, which counts; keep one"
        title = f"{kind} {namespace}/{name}"
        self.duplicates.append(
            ManifestError(origin.file, origin.line_of(()) or None, title, "", message)
        )
        return False

    def _other(self, origin: Origin, data: dict[str, Any]) -> None:
        version, kind = data.get("apiVersion"), data.get("kind")
        for name, value in (("apiVersion", version), ("kind", kind)):
            if not isinstance(value, str) or not value:
                self.fail(origin, _title(data), (name,), "is required, as text")
                return
        group = str(version).rpartition("/")[0]
        if group == GROUP and kind not in KINDS:
            self.fail(
                origin,
                _title(data),
                ("kind",),
                "unknown kind" + explain.suggestion(str(kind), list(KINDS)),
            )
        elif group == GROUP or (not group and kind in KINDS):
            self._fail_all(
                origin, data, [YamlFault(("apiVersion",), f"must be {API_VERSION} (got {version})")]
            )
        else:
            self.notices.append(
                f"{origin.file}:{origin.line_of(())}: skipped {_title(data)} of {version}"
            )


def _title(data: Mapping[str, Any]) -> str:
    """`Kind namespace/name` as far as they are there."""
    metadata = data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or "(no name)"
    return f"{data.get('kind') or '(no kind)'} {metadata.get('namespace') or 'default'}/{name}"
