"""From a definition to the JSON that Grafana reads, by the builders that Grafana Labs makes from
its schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as c
from grafana_foundation_sdk.models import dashboard as m
from grafana_foundation_sdk.models import prometheus as p

from dashboards.board import Board, Kind, Link, Panel, Query, Row, Step, Variable

DATASOURCE = m.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "sinal"

# The builders of panels share their methods, not a class.
Builder = Any


def render(board: Board) -> dict[str, Any]:
    """The dashboard as Grafana stores it."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time(board.range, "now")
        .timezone("browser")
        .tooltip(m.DashboardCursorSync.CROSSHAIR)
        .link(_tagged())
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    for variable in board.variables:
        made.with_variable(_variable(variable))
    ids = iter(range(1, 1000))
    for row in board.rows:
        made.with_row(_row(row, next(ids)))
        for panel in row.panels:
            made.with_panel(_panel(panel, next(ids)))
    document: dict[str, Any] = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    return document


def _tagged() -> Builder:
    """A menu of the other dashboards that keeps the time and what was chosen."""
    link = dashboard.DashboardLink("Sinal").type(m.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _variable(variable: Variable) -> Builder:
    made = (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .query(variable.values)
        .datasource(DATASOURCE)
        .refresh(m.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(m.VariableSort.ALPHABETICAL_ASC)
        .multi(variable.many)
        .include_all(variable.many)
    )
    return made.all_value(".*") if variable.many else made


def _row(row: Row, number: int) -> Builder:
    return dashboard.Row(row.title).id(number)


def _panel(panel: Panel, number: int) -> Builder:
    made = _KINDS[panel.kind](panel)
    made.id(number).title(panel.title).description(panel.why).datasource(DATASOURCE)
    made.unit(panel.unit).height(panel.height).span(panel.width)
    made.thresholds(_thresholds(panel.steps))
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(_target(query, letter, panel.kind))
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.empty:
        made.no_value(panel.empty)
    if panel.words:
        made.mappings([_mapping(panel)])
    if panel.links:
        made.links([_link(link) for link in panel.links])
    if panel.values:
        made.data_links([_link(link) for link in panel.values])
    return made


def _target(query: Query, letter: str, kind: Kind) -> Builder:
    made = (
        prometheus.Dataquery()
        .ref_id(letter)
        .expr(query.expr)
        .datasource(DATASOURCE)
        .legend_format(query.legend)
    )
    if kind in ("stat", "bars"):
        return made.instant()
    if kind == "table":
        return made.instant().format(p.PromQueryFormat.TABLE)
    return made.range()


def _thresholds(steps: Sequence[Step]) -> Builder:
    first = m.Threshold(value=None, color=steps[0][1] if steps else "blue")
    rest = [m.Threshold(value=value, color=colour) for value, colour in steps[1:]]
    return dashboard.ThresholdsConfig().mode(m.ThresholdsMode.ABSOLUTE).steps([first, *rest])


def _mapping(panel: Panel) -> m.ValueMap:
    texts = {
        str(value): m.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(panel.words.items())
    }
    return m.ValueMap(options=texts)


def _link(link: Link) -> Builder:
    return dashboard.DashboardLink(link.title).type(m.DashboardLinkType.LINK).url(link.url)


def _stat(panel: Panel) -> Builder:
    made = stat.Panel().graph_mode(c.BigValueGraphMode.NONE).reduce_options(_last())
    made.color_mode(c.BigValueColorMode.BACKGROUND if panel.steps else c.BigValueColorMode.VALUE)
    return made.color_scheme(dashboard.FieldColor().mode(m.FieldColorModeId.THRESHOLDS))


def _bars(panel: Panel) -> Builder:
    made = bargauge.Panel().orientation(c.VizOrientation.HORIZONTAL).reduce_options(_last()).min(0)
    made.display_mode(c.BarGaugeDisplayMode.BASIC)
    return made.color_scheme(dashboard.FieldColor().mode(m.FieldColorModeId.THRESHOLDS))


def _lines(panel: Panel) -> Builder:
    legend = (
        common.VizLegendOptions()
        .display_mode(c.LegendDisplayMode.TABLE)
        .placement(c.LegendPlacement.BOTTOM)
    )
    made = timeseries.Panel().legend(legend.show_legend(True).calcs(["lastNotNull", "max"])).min(0)
    made.tooltip(
        common.VizTooltipOptions().mode(c.TooltipDisplayMode.MULTI).sort(c.SortOrder.DESCENDING)
    )
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(c.StackingMode.NORMAL)).fill_opacity(25)
    if panel.steps:
        made.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(c.GraphTresholdsStyleMode.DASHED)
        )
    return made


def _timeline(panel: Panel) -> Builder:
    made = statetimeline.Panel().merge_values(True).show_value(c.VisibilityMode.NEVER)
    return made.color_scheme(dashboard.FieldColor().mode(m.FieldColorModeId.THRESHOLDS))


def _table(panel: Panel) -> Builder:
    """Queries side by side, joined by the labels that they have in common, the largest first value
    on top.
    """
    made = table.Panel().sort_by(
        [common.TableSortByFieldState().display_name(panel.columns[0]).desc(True)]
    )
    single = len(panel.queries) == 1
    names = {
        "Value" if single else f"Value #{letter}": name
        for letter, name in zip("ABCDEFGH", panel.columns, strict=False)
    }
    made.with_transformation(m.DataTransformerConfig(id_val="merge", options={}))
    tidy = {"excludeByName": {"Time": True}, "renameByName": names}
    made.with_transformation(m.DataTransformerConfig(id_val="organize", options=tidy))
    for name, unit in zip(panel.columns, panel.units, strict=True):
        made.override_by_name(name, [m.DynamicConfigValue(id_val="unit", value=unit)])
    return made


def _last() -> Builder:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


_KINDS: dict[Kind, Callable[[Panel], Builder]] = {
    "stat": _stat,
    "bars": _bars,
    "lines": _lines,
    "timeline": _timeline,
    "table": _table,
}
