"""The repositories of gitops/examples as Argo CD reads them: what each source leads to, and what
Helm makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "gitops" / "examples"
ENVIRONMENTS = ("stage", "production")
# Where each repository that the examples name is in this one.
CHECKOUTS = {
    "https://git.example/platform/sinal.git": ROOT,
    "https://git.example/platform/sinal-config.git": EXAMPLES,
    "https://git.example/marketing/tenants.git": EXAMPLES,
}


def documents(path: Path) -> list[Object]:
    """The objects of a file, or of the files right in a folder, which is what Argo CD takes of
    one.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
    return [
        one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one
    ]


def application(environment: str, name: str) -> Object:
    """An Application of an environment."""
    (found,) = [
        one
        for one in documents(EXAMPLES / "environments" / environment)
        if one["metadata"]["name"] == name
    ]
    return found


def sources(spec: Object) -> list[Object]:
    """One source or several."""
    return list(spec.get("sources") or [spec["source"]])


def folder(source: Object) -> Path:
    """What a source's path leads to."""
    return Path(CHECKOUTS[source["repoURL"]] / source["path"])


def values(spec: Object) -> Iterator[Path]:
    """The files of values of an Application, those of other sources behind their `$ref`."""
    refs = {f"${one['ref']}": CHECKOUTS[one["repoURL"]] for one in sources(spec) if "ref" in one}
    for source in sources(spec):
        for name in source.get("helm", {}).get("valueFiles", ()):
            first, _, rest = name.partition("/")
            yield refs[first] / rest if first in refs else folder(source) / name


def secrets_named(rendered: list[Object]) -> set[tuple[str, str]]:
    """Name and key of each Secret that pods of a rendering take something from."""
    text = [one["spec"].get("template", one)["spec"] for one in rendered if _has_pods(one)]
    found = set()
    for pod in text:
        for container in pod["containers"]:
            refs = [
                env["valueFrom"]["secretKeyRef"]
                for env in container.get("env", ())
                if "valueFrom" in env
            ]
            found |= {(ref["name"], ref["key"]) for ref in refs}
        for volume in pod.get("volumes", ()):
            parts = [part.get("secret") for part in volume.get("projected", {}).get("sources", ())]
            for secret in filter(None, [volume.get("secret"), *parts]):
                name = secret.get("secretName") or secret["name"]
                found |= {(name, item["key"]) for item in secret.get("items", ())}
    return found


def _has_pods(one: Object) -> bool:
    return one["kind"] in ("Deployment", "StatefulSet", "Job", "Pod")


def allowed(project: Object, one: Object, *, namespace: str) -> bool:
    """Whether a project lets an object into the cluster."""
    group = one["apiVersion"].rpartition("/")[0]
    rule = {"group": group, "kind": one["kind"]}
    spec = project["spec"]
    if one["metadata"].get("namespace") or one["kind"] not in CLUSTERWIDE:
        into = one["metadata"].get("namespace", namespace)
        wild = [
            re.escape(where["namespace"]).replace(r"\*", ".*") for where in spec["destinations"]
        ]
        listed = spec.get("namespaceResourceWhitelist")
        return any(re.fullmatch(each, into) for each in wild) and (listed is None or rule in listed)
    return rule in spec.get("clusterResourceWhitelist", ())


CLUSTERWIDE = {
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
}
