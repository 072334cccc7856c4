"""The example of docs/operators/logs.md takes apart what Sinal writes."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import structlog
import yaml

from sinal_core.telemetry import logs

PAGE = Path(__file__).parents[2] / "docs" / "operators" / "logs.md"


def example() -> dict[str, Any]:
    block = PAGE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("\n```")[0]
    config: dict[str, Any] = yaml.safe_load(block)
    return config


def test_its_pipeline_names_what_it_defines() -> None:
    config = example()
    (pipeline,) = config["service"]["pipelines"].values()
    for part, names in pipeline.items():
        assert set(names) == set(config[part])


def test_its_fields_and_times_are_those_of_a_line() -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(level="info", json=True, stream=stream)
        structlog.get_logger("test").warning("destination.breaker", tenant="loja")
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    line = json.loads(stream.getvalue())
    (parser,) = [
        one
        for one in example()["receivers"]["filelog"]["operators"]
        if one["type"] == "json_parser"
    ]
    for part in ("timestamp", "severity"):
        assert parser[part]["parse_from"].removeprefix("attributes.") in line
    assert {"event", "tenant", "logger"} <= line.keys()
    assert parser["timestamp"]["layout"].endswith(".999999Z07:00")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", line["timestamp"])
