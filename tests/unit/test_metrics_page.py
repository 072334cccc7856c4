"""The page of metrics is what the code declares, and the names that dashboards rely on are
there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sinal_cli.metrics_page import metrics_page

DOCS = Path(__file__).parents[2] / "docs"

CONTRACT = {
    "sinal_ingest_requests_total": "`tenant`, `source`, `status`",
    "sinal_ingest_seconds": "",
    "sinal_spool_events": "",
    "sinal_queue_depth": "`tenant`, `role`",
    "sinal_queue_oldest_seconds": "`tenant`, `role`",
    "sinal_match_total": "`tenant`, `rule`, `decision`",
    "sinal_match_seconds": "",
    "sinal_capi_events_total": "`tenant`, `destination`, `outcome`",
    "sinal_capi_request_seconds": "`destination`",
    "sinal_breaker_state": "`tenant`, `destination`",
    "sinal_dead_letters_total": "`tenant`, `reason`",
    "sinal_event_latency_seconds": "`tenant`, `stage`",
    "sinal_signal_coverage_ratio": "`tenant`, `signal`",
    "sinal_reconcile_total": "`kind`, `result`",
    "sinal_reconcile_seconds": "`kind`",
    "sinal_objects": "`kind`, `ready`",
    "sinal_build_info": "`version`, `role`",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_is_declared(name: str) -> None:
    (row,) = [line for line in metrics_page().splitlines() if line.startswith(f"| `{name}` |")]
    assert row.split(" | ")[2] == CONTRACT[name]


def test_the_page_is_made_from_the_code() -> None:
    assert (
        (DOCS / "operators" / "metrics.md")
        .read_text(encoding="utf-8")
        .endswith("\n" + metrics_page())
    ), "run: make docs"
