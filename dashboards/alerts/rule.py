"""What a rule is, and how Prometheus reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dashboards.board import RUNBOOKS

# critical: somebody is woken, data is late or at risk. warning: somebody looks at it in working
# hours.
Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Record:
    """A series that is worked out once for many."""

    name: str
    expr: str
    labels: tuple[tuple[str, str], ...] = ()

    def render(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {"record": self.name, "expr": self.expr} | (
            {"labels": dict(self.labels)} if self.labels else {}
        )


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that a person has to know.

    `page` is its runbook, where several alerts share one.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    lasting: str = ""  # so long before it fires
    labels: tuple[tuple[str, str], ...] = ()
    page: str = ""
    board: str = "sinal-overview"  # where to look

    def render(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.lasting} if self.lasting else {}),
            "labels": {"severity": self.severity, **dict(self.labels)},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}/{self.runbook}.md",
                "dashboard": self.board,
            },
        }

    @property
    def runbook(self) -> str:
        """Its page, by name."""
        return self.page or self.name


@dataclass(frozen=True)
class Group:
    """Rules that are worked out together, in their order."""

    name: str
    rules: Sequence[Record | Alert]
    interval: str = "30s"

    def render(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "name": self.name,
            "interval": self.interval,
            "rules": [rule.render() for rule in self.rules],
        }
