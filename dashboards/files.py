"""Every generated file by its path: dashboards as JSON, rules as YAML that PrometheusRule and
promtool both take.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from dashboards import alerts, boards, grafana

ROOT = Path(__file__).resolve().parents[1]
DASHBOARDS = "charts/sinal/files/dashboards"
RULES = "charts/sinal/files/rules"
FOLDERS = (DASHBOARDS, RULES)
_HEAD = "# Made by `make dashboards` from dashboards/; change that.\n"


class _Dumper(yaml.SafeDumper):
    """Long expressions as blocks, as a person would write them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def made() -> dict[str, str]:
    """All of them."""
    found = {f"{DASHBOARDS}/{board.uid}.json": _json(grafana.render(board)) for board in boards.ALL}
    for group in alerts.GROUPS:
        found[f"{RULES}/{group.name}.yaml"] = _HEAD + _yaml({"groups": [group.render()]})
    return found


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
