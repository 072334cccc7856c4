"""Label selectors as Kubernetes writes them: `role=match,tenant in (a,b),!zone`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sinal_metrics_adapter.errors import bad_request

_PART = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<without>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<set>in|notin)\s*\((?P<values>[^()]*)\)|(?P<op>==?|!=)\s*(?P<value>[\w.-]*))?)\s*(?:,|$)",
    re.ASCII,
)

Operator = Literal["in", "notin", "exists", "absent"]


@dataclass(frozen=True)
class Requirement:
    """One condition on a label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it; what is not there is not in a set."""
        match self.operator:
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels


def parse(text: str) -> list[Requirement]:
    """The conditions of a selector, none of an empty one; raises Failure."""
    found, at = [], 0
    while at < len(text.rstrip()):
        part = _PART.match(text, at)
        if part is None:
            raise bad_request(f"labelSelector {text!r} can't be read from position {at} on")
        found.append(_requirement(part))
        at = part.end()
    if text.rstrip().endswith(","):
        raise bad_request(f"labelSelector {text!r} ends with a comma")
    return found


def _requirement(part: re.Match[str]) -> Requirement:
    if part["absent"]:
        return Requirement(part["without"], "absent")
    if part["set"]:
        values = frozenset(value.strip() for value in part["values"].split(","))
        return Requirement(part["key"], "in" if part["set"] == "in" else "notin", values)
    if part["op"]:
        return Requirement(
            part["key"], "notin" if part["op"] == "!=" else "in", frozenset({part["value"]})
        )
    return Requirement(part["key"], "exists")
