"""Values of Secrets, kept apart from everything that is printed.

Invariant: no representation of these objects holds a value.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class Secrets:
    """Data of Secrets by namespace and name, as text."""

    values: Mapping[Key, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def get(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The Secret's data, or None when there is no such Secret."""
        return self.values.get((namespace, name))

    def __len__(self) -> int:
        return len(self.values)


class BadSecret(ValueError):
    """A Secret that can't be read; the message names the key, never the value."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


def secret_data(manifest: Mapping[str, object]) -> dict[str, str]:
    """Text of a `v1 Secret`, `stringData` over `data`, surrounding white space removed.

    Raises BadSecret.

    The white space is that of `echo token | base64`: no credential of a gateway or of Meta begins
    or ends with any.
    """
    encoded = _section(manifest, "data")
    values = {key: _decode(key, value) for key, value in encoded.items()}
    return {
        key: value.strip() for key, value in (values | _section(manifest, "stringData")).items()
    }


def _section(manifest: Mapping[str, object], name: str) -> dict[str, str]:
    section = manifest.get(name) or {}
    if not isinstance(section, Mapping):
        raise BadSecret((name,), "must be a mapping of keys to text")
    for key, value in section.items():
        if not isinstance(value, str):
            raise BadSecret((name, str(key)), "must be text; put it in quotes")
    return {str(key): str(value) for key, value in section.items()}


def _decode(key: str, value: str) -> str:
    try:
        # Long base64 is often folded over lines in YAML, and the API server takes it so.
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadSecret(
            ("data", key), "is not base64 of UTF-8 text; use stringData for plain text"
        ) from None
