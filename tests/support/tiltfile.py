"""What the Tiltfile asks of Tilt, by a real Starlark interpreter with stand-ins that note each call
down.

A stand-in takes those arguments of Tilt's own function that are in use, and refuses what the
function refuses. Source: Tilt's API (`internal/tiltfile/api` of tilt-dev/tilt) and its extensions
`helm_resource` and `namespace`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

ROOT = Path(__file__).parents[2]
_EXTENSIONS = {"ext://helm_resource": ["helm_resource"], "ext://namespace": ["namespace_create"]}
MANUAL = "TRIGGER_MODE_MANUAL"


@dataclass
class Tilt:
    """Notes of one evaluation, each by the name of what was made."""

    root: Path = ROOT
    contexts: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: list[dict[str, Any]] = field(default_factory=list)
    workloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    commands: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Everything with a name of its own in Tilt."""
        return {**self.workloads, **self.releases, **self.commands}

    def allow_k8s_contexts(self, contexts: str | list[str]) -> None:
        self.contexts += [contexts] if isinstance(contexts, str) else contexts

    def namespace_create(self, name: str, allow_duplicates: bool = False) -> None:
        self.namespaces.append(name)

    def read_file(self, file_path: str) -> str:
        return (self.root / file_path).read_text(encoding="utf-8")

    def docker_build(
        self, ref: str, context: str, dockerfile: str = "Dockerfile", only: list[str] | None = None
    ) -> None:
        self.images[ref] = {"context": context, "dockerfile": dockerfile, "only": only or []}

    def k8s_yaml(self, yaml_text: str) -> None:
        self.objects += [document for document in yaml.safe_load_all(yaml_text) if document]

    def k8s_resource(
        self,
        workload: str,
        port_forwards: list[str] | None = None,
        resource_deps: list[str] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        found = [
            item
            for item in self.objects
            if item["kind"] == "Deployment" and item["metadata"]["name"] == workload
        ]
        if len(found) != 1:
            raise ValueError(f"k8s_resource: {len(found)} workloads are named {workload}")
        self.workloads[workload] = {
            "port_forwards": port_forwards or [],
            "resource_deps": resource_deps or [],
        }

    def helm_resource(
        self,
        name: str,
        chart: str,
        deps: list[str] | None = None,
        namespace: str = "",
        image_deps: list[str] | None = None,
        image_keys: list[Any] | None = None,
        flags: list[str] | None = None,
        resource_deps: list[str] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        images, keys = image_deps or [], image_keys or []
        if len(images) != len(keys):
            raise ValueError("helm_resource: image_deps and image_keys must have the same length")
        if len(set(images)) != len(images):
            raise ValueError(
                f"helm_resource: image_deps should be unique, in {images} one is named twice"
            )
        self.releases[name] = {
            "chart": chart,
            "namespace": namespace,
            "flags": flags or [],
            "images": {image: _pairs(key) for image, key in zip(images, keys, strict=True)},
            "deps": deps or [],
            "resource_deps": resource_deps or [],
        }

    def local_resource(
        self,
        name: str,
        cmd: str = "",
        deps: list[str] | None = None,
        trigger_mode: str = "",
        resource_deps: list[str] | None = None,
        auto_init: bool = True,
        serve_cmd: str = "",
        labels: list[str] | None = None,
    ) -> None:
        self.commands[name] = {
            "cmd": cmd,
            "serve_cmd": serve_cmd,
            "deps": deps or [],
            "by_hand": trigger_mode == MANUAL and not auto_init,
            "resource_deps": resource_deps or [],
        }


def _pairs(key: list[Any]) -> list[list[str]]:
    """The pairs of a repository's and a tag's key; a tuple of Starlark arrives here as a list."""
    return key if isinstance(key[0], list) else [key]


def evaluate(text: str | None = None) -> Tilt:
    """The notes of the project's Tiltfile, or of another text.

    Raises StarlarkError as `tilt up` would stop.
    """
    tilt = Tilt()
    dialect = starlark.Dialect.standard()
    dialect.enable_load = dialect.enable_lambda = dialect.enable_def = True
    dialect.enable_top_level_stmt = True  # Tilt allows `for` outside of functions
    source = (ROOT / "Tiltfile").read_text(encoding="utf-8") if text is None else text
    module = starlark.Module()
    module[MANUAL] = MANUAL
    builtins: tuple[Callable[..., Any], ...] = (
        tilt.allow_k8s_contexts,
        tilt.docker_build,
        tilt.k8s_resource,
        tilt.k8s_yaml,
        tilt.local_resource,
        tilt.read_file,
    )
    for function in builtins:
        module.add_callable(function.__name__, function)
    module.add_callable("blob", str)
    loader = starlark.FileLoader(lambda name: _extension(tilt, name))
    starlark.eval(
        module, starlark.parse("Tiltfile", source, dialect), starlark.Globals.standard(), loader
    )
    return tilt


def _extension(tilt: Tilt, name: str) -> starlark.FrozenModule:
    module = starlark.Module()
    for function in _EXTENSIONS[name]:
        module.add_callable(function, getattr(tilt, function))
    return module.freeze()
