"""Names of fields in whatever spelling: `utm_source`, `utmSource`, `UtmSource` and `utm-source` are
one name.

Letters and digits count, in lower case.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from sinal_hub.gateways._body import Node

_LONGEST = 64  # no name that is looked for is longer, and others are not to be remembered


def plain(name: str) -> str:
    """A name in its plain spelling."""
    return _plain(name) if len(name) <= _LONGEST else name


def told(node: Node) -> Iterator[tuple[str, object]]:
    """The fields that say something, with their plain names."""
    for name, value in node.items():
        if value is not None and value != "":
            yield (_plain(name) if len(name) <= _LONGEST else name), value


def spelled(node: Node) -> Node:
    """The same fields under plain names; of two spellings the first that says something."""
    fields: dict[str, object] = {}
    for name, value in told(node):
        fields.setdefault(name, value)
    return Node(fields)


@lru_cache(maxsize=4_096)
def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
