"""Names of fields in whatever spelling: `utm_source`, `utmSource`, `UtmSource` and `utm-source` are one name.

Letters and digits count, in lower case.
"""

from __future__ import annotations

from functools import lru_cache

from sinal_runtime.gateways._body import Node

_LONGEST = 64  # a longer name is none that is looked for, and is not to be remembered


def plain(name: str) -> str:
    """A name in its plain spelling."""
    return _plain(name) if len(name) <= _LONGEST else name


def spelled(node: Node) -> Node:
    """The same fields under plain names; of two spellings the first that says something."""
    fields: dict[str, object] = {}
    for name in node:
        at = plain(name)
        if fields.get(at) in (None, "", []):
            fields[at] = node.raw(name)
    return Node(fields)


@lru_cache(maxsize=4_096)
def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
