"""What differs between two states of the manifests, in a person's words.

Pure; never a value of a Secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sinal_cli.declared import Declared
from sinal_cli.local.bulletin import Verb
from sinal_crds.loading import ObjectKey
from sinal_crds.models import Manifest

MOST = 3  # fields of one object that are told
LONGEST = 40  # characters of a value

Line = tuple[Verb, str]


def between(before: Declared, after: Declared) -> Iterator[Line]:
    """Lines on objects that came, went or are declared otherwise, and on their Secrets."""
    old, new = before.manifests, after.manifests
    for key in old.keys() - new.keys():
        yield "removed", title(key)
    for key, manifest in new.items():
        if key not in old:
            yield "added", title(key)
        elif told := _fields(old[key], manifest):
            yield "applied", f"{title(key)} ({told})"
    yield from _secrets(before, after)


def troubles(before: Declared, after: Declared) -> Iterator[Line]:
    """Lines on what does not fit together any more, or does again."""
    old = {problem: None for problem in before.compilation.problems}
    new = {problem: None for problem in after.compilation.problems}
    there = after.manifests
    for duplicate in after.duplicates:
        if duplicate not in before.duplicates:
            yield (
                "problem",
                f"{duplicate.object}: {duplicate.file}:{duplicate.line}\n{duplicate.message}",
            )
    again = {duplicate.object for duplicate in after.duplicates}
    for title_of in dict.fromkeys(
        one.object for one in before.duplicates if one.object not in again
    ):
        yield "mended", f"{title_of}: is defined once"
    for problem in new:
        if problem not in old:
            yield "problem", f"{title(_key(problem))}: {problem.field}\n{problem.message}"
    still = {(_key(problem), problem.field) for problem in new}
    for problem in old:
        if _key(problem) in there and (_key(problem), problem.field) not in still:
            yield "mended", f"{title(_key(problem))}: {problem.field}"


def title(key: ObjectKey) -> str:
    """`Kind name`, with the namespace where it is not the usual one."""
    kind, namespace, name = key
    return f"{kind} {name}" if namespace == "default" else f"{kind} {namespace}/{name}"


def spec(manifest: Manifest) -> dict[str, Any]:
    """The object's spec as it would be written in YAML."""
    found: dict[str, Any] = manifest.model_dump(mode="json", by_alias=True).get("spec", {})
    return found


def _key(problem: Any) -> ObjectKey:
    return problem.kind, problem.namespace, problem.name


def _fields(old: Manifest, new: Manifest) -> str:
    """The fields that differ: `batch.maxAgeMillis 200 → 300`; empty where none does."""
    before, after = dict(_flat(spec(old))), dict(_flat(spec(new)))
    if old.rotation != new.rotation:
        before["rotation"], after["rotation"] = old.rotation, new.rotation
    names = [
        name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)
    ]
    told = [
        f"{name} {_short(before.get(name))} → {_short(after.get(name))}" for name in names[:MOST]
    ]
    return ", ".join((*told, f"and {len(names) - MOST} more") if len(names) > MOST else told)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else name)
    elif value is not None:
        yield path, value


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _secrets(before: Declared, after: Declared) -> Iterator[Line]:
    old, new = before.secrets.values, after.secrets.values
    for place in old.keys() | new.keys():
        keys = old.get(place, {}).keys() | new.get(place, {}).keys()
        changed = sorted(
            name for name in keys if old.get(place, {}).get(name) != new.get(place, {}).get(name)
        )
        if changed:
            verb: Verb = (
                "added" if place not in old else "removed" if place not in new else "applied"
            )
            yield verb, f"{title(('Secret', *place))} ({', '.join(changed)})"
