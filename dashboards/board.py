"""What a dashboard is made of: rows of panels, each with a question, why it is asked, and queries
to answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["stat", "lines", "table", "bars", "timeline"]
Step = tuple[float, str]  # from this value on, this colour

GREEN: Step = (0.0, "green")
# Runbooks stand beside the documentation; the chart puts a team's own address in the place of this
# one.
RUNBOOKS = "https://sinal.dev/docs/runbooks"


@dataclass(frozen=True)
class Query:
    """One query and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Link:
    """A way on from a panel or a value."""

    title: str
    url: str


def runbook(alert: str) -> Link:
    """The page of an alert."""
    return Link(f"Runbook: {alert}", f"{RUNBOOKS}/{alert}.md")


def board_link(uid: str, title: str, **variables: str) -> Link:
    """Another dashboard, with variables taken from fields of the row that was clicked."""
    chosen = "".join(
        f"&var-{name}=${{__data.fields.{source}}}" for name, source in variables.items()
    )
    return Link(title, f"/d/{uid}?${{__url_time_range}}{chosen}")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One question.

    `empty` is what the panel says without data where that is healthy; a panel without it must
    always have data. `needs` names the exporter whose metrics it shows, where they are not Sinal's
    own. `columns` of a table are its queries' values in their order, `units` what each is counted
    in.
    """

    kind: Kind
    title: str
    why: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    empty: str = ""
    needs: str = ""
    stacked: bool = False
    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # value -> text, colour
    links: tuple[Link, ...] = ()
    values: tuple[Link, ...] = ()  # on each value


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """Something to choose, from the values of a label."""

    name: str
    label: str
    values: str  # label_values(…)
    many: bool = True  # several, or all


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    range: str = "now-6h"
