"""Every dashboard is what its definition says, asks questions, and asks only for what is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinal_cli.metrics_page import declared

from dashboards import alerts, boards, catalogue, files, lint
from dashboards.board import RUNBOOKS

KNOWN = catalogue.known()
BOARDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((files.ROOT / files.DASHBOARDS).glob("*.json"))
}
RUNBOOK_PAGES = files.ROOT / "docs" / "runbooks"


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for uid, board in BOARDS.items():
        yield from ((uid, panel) for panel in board["panels"] if panel["type"] != "row")


PANELS = [pytest.param(uid, panel, id=f"{uid}: {panel['title']}") for uid, panel in panels()]


def urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        for inner in value.values():
            yield from urls(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from urls(inner)


@pytest.mark.parametrize("name", sorted(files.made()))
def test_the_files_are_made_from_the_definitions(name: str) -> None:
    assert (files.ROOT / name).read_text(encoding="utf-8") == files.made()[name], (
        "run: make dashboards"
    )


def test_nothing_else_lies_there() -> None:
    there = {
        str(path.relative_to(files.ROOT))
        for folder in files.FOLDERS
        for path in (files.ROOT / folder).iterdir()
    }
    assert there == set(files.made())


def test_dashboards_are_told_apart() -> None:
    assert len(BOARDS) == len(boards.ALL) == 5
    assert all(board["uid"] == name for name, board in BOARDS.items())
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_of_a_dashboard_are_told_apart_and_do_not_overlap(uid: str) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in BOARDS[uid]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken.update(
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        )
    assert max(taken.values()) == 1
    numbers = [panel["id"] for panel in BOARDS[uid]["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_panel_asks_a_question_and_says_why(uid: str, panel: dict[str, Any]) -> None:
    assert panel["title"].endswith("?")
    assert len(panel["description"]) > 15
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert panel["targets"]


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_panel_asks_for_what_is_there(uid: str, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert lint.faults(target["expr"], KNOWN) == []


@pytest.mark.parametrize("uid", BOARDS)
def test_variables_are_declared_used_and_ask_for_what_is_there(uid: str) -> None:
    variables = {variable["name"]: variable for variable in BOARDS[uid]["templating"]["list"]}
    text = json.dumps(BOARDS[uid]["panels"])
    for name, variable in variables.items():
        assert f"${name}" in text or f"${{{name}}}" in text
        if variable["type"] == "query":
            series, _, label = (
                variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
            )
            assert lint.faults(f"count by ({label}) ({series})", KNOWN) == []
    used = {name for name in ("tenant", "destination") if f'"${name}"' in text.replace("\\", "")}
    assert used <= set(variables)


@pytest.mark.parametrize("uid", BOARDS)
def test_links_lead_somewhere(uid: str) -> None:
    pages = {rule.runbook for rule in alerts.ALERTS} | {
        path.stem for path in RUNBOOK_PAGES.glob("*.md")
    }
    for url in filter(None, urls(BOARDS[uid])):
        if url.startswith("/d/"):
            other = BOARDS[url.removeprefix("/d/").partition("?")[0]]
            names = {variable["name"] for variable in other["templating"]["list"]}
            assert {
                part.partition("=")[0].removeprefix("var-") for part in url.split("&")[1:]
            } <= names
        else:
            assert url.startswith(RUNBOOKS)
            assert url.removeprefix(f"{RUNBOOKS}/").removesuffix(".md") in pages


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_thousand_tenants_fit(uid: str, panel: dict[str, Any]) -> None:
    """No panel has a series for each tenant or destination: it shows the worst ones, or those that
    were chosen.
    """
    for target in panel["targets"]:
        chosen = target["expr"].replace('tenant="$tenant"', 'tenant="one", destination="few"')
        assert lint.unbounded(chosen, KNOWN, ("tenant", "destination", "instance")) == set(), (
            target["expr"]
        )


@pytest.mark.parametrize(
    ("query", "open"),
    [
        ("sinal_queue_depth", {"tenant"}),
        ("sum by (role) (sinal_queue_depth)", set()),
        ("topk(5, sinal_queue_depth > 0)", set()),
        ("sinal_queue_depth and on (tenant) topk(5, sinal_queue_depth)", set()),
        ("topk(5, sinal_queue_depth) or sinal_queue_oldest_seconds", {"tenant"}),
        ("rate(sinal_match_total[5m]) * 2", {"tenant"}),
    ],
)
def test_the_check_of_bounds_has_teeth(query: str, open: set[str]) -> None:
    assert lint.unbounded(query, KNOWN, ("tenant", "destination")) == open


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("rate(sinal_capi_events_total[5m)", "does not parse"),
        ("sinal_capi_events", "no such metric"),
        ('sinal_queue_depth{rol="match"}', "has no label rol"),
        ("sum by (destination) (sinal_queue_depth)", "nothing below has the label destination"),
        (
            "sinal_queue_depth and on (reason) sinal_breaker_reason",
            "nothing below has the label reason",
        ),
    ],
)
def test_the_check_has_teeth(query: str, said: str) -> None:
    assert said in " ".join(lint.faults(query, KNOWN))


# Served for other eyes: the API's summaries have them, or another metric says the same in a better
# way.
NOT_SHOWN = {"sinal_heartbeat_age_seconds"}


def test_every_metric_is_looked_at() -> None:
    asked = " ".join(target["expr"] for _, panel in panels() for target in panel["targets"])
    asked += " ".join(str(rule.render()["expr"]) for group in alerts.GROUPS for rule in group.rules)
    unseen = {
        family.name
        for metric in declared()
        for family in metric.describe()
        if family.name not in asked
    }
    assert unseen == NOT_SHOWN


def test_files_are_where_the_chart_looks() -> None:
    assert Path(files.DASHBOARDS).parts[:3] == ("charts", "sinal", "files")
