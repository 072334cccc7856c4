"""Alerts fire when they should, say what they should, and are silent else: judged by promtool on
the shipped rules.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import alerts, files
from dashboards.alerts.rule import Alert
from dashboards.alerts.slo import BURNS, PROMISES, Burn, Promise
from tests.monitoring import cases
from tests.monitoring.cases import Case

RULES = files.ROOT / files.RULES
CASES = [(group, case) for group, found in cases.ALL.items() for case in found]
ALERTS: dict[str, Alert] = {alert.name: alert for alert in alerts.ALERTS}


def run(
    promtool: str,
    folder: Path,
    groups: Sequence[str],
    tests: list[dict[str, Any]],
    every: str = "30s",
) -> None:
    """Have promtool judge, looking at the rules every so often.

    Its own words where it disagrees.
    """
    rules = [str(RULES / f"{group}.yaml") for group in groups]
    document = {"rule_files": rules, "evaluation_interval": every, "tests": tests}
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def given(case: Case) -> dict[str, Any]:
    """The case as promtool reads it."""
    fires = bool(case.says)
    alert = ALERTS[case.alert].render()
    annotations = {**alert["annotations"], "summary": case.says}
    if case.more:
        annotations["description"] = case.more
    told = {"exp_labels": {**alert["labels"], **case.labels}, "exp_annotations": annotations}
    return {
        "interval": case.step,
        "input_series": [
            {"series": name, "values": values} for name, values in case.series.items()
        ],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": [told] if fires else []}
        ],
    }


@pytest.mark.parametrize(
    ("group", "case"), CASES, ids=[f"{case.alert}: {case.why}" for _, case in CASES]
)
def test_an_alert_fires_when_it_should(
    promtool: str, tmp_path: Path, group: str, case: Case
) -> None:
    run(promtool, tmp_path, [group], [given(case)], every=case.step)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    of_causes = {alert.name for alert in alerts.ALERTS} - {promise.alert for promise in PROMISES}
    assert {case.alert for _, case in CASES if case.says} == of_causes
    assert {case.alert for _, case in CASES if not case.says} == of_causes


def requests(promise: Promise, bad: int, total: int) -> dict[str, str]:
    """Series with so many requests a minute, so many of them bad, for six hours."""
    good, all_of_them, failed = (f"0+{number}x360" for number in (total - bad, total, bad))
    return {
        "ingest": {
            'sinal_ingest_requests_total{source="browser", status="202"}': good,
            'sinal_ingest_requests_total{source="webhook", status="503"}': failed,
            'sinal_ingest_requests_total{source="none", status="503"}': all_of_them,
        },
        "dispatch": {
            'sinal_capi_requests_total{tenant="a", destination="b", verdict="delivered"}': good,
            'sinal_capi_requests_total{tenant="a", destination="b", verdict="retry"}': failed,
            'sinal_capi_requests_total{tenant="a", destination="c", '
            'verdict="credential"}': all_of_them,
        },
        "latency": {
            'sinal_event_latency_seconds_count{tenant="a", stage="delivered"}': all_of_them,
            'sinal_event_latency_seconds_bucket{tenant="a", stage="delivered", le="60.0"}': good,
            'sinal_event_latency_seconds_bucket{tenant="a", stage="delivered", le="30.0"}': "0x360",
            'sinal_event_latency_seconds_count{tenant="a", stage="matched"}': all_of_them,
        },
        "loss": {
            'sinal_capi_events_total{tenant="a", destination="b", outcome="delivered"}': good,
            'sinal_dead_letters_total{tenant="a", reason="too_old"}': failed,
            'sinal_dead_letters_total{tenant="a", reason="rejected"}': all_of_them,
        },
    }[promise.slo]


def burning(promise: Promise, share: float, total: int, expected: Sequence[Burn]) -> dict[str, Any]:
    """At a share of errors, exactly the expected windows tell."""
    samples = [
        {"labels": f'{{severity="{burn.severity}", window="{burn.long}"}}', "value": 1}
        for burn in expected
    ]
    series = requests(promise, round(share * total), total)
    firing = (
        f'max by (severity, window) (ALERTS{{alertname="{promise.alert}", alertstate="firing"}})'
    )
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": "3h30m", "exp_samples": samples}],
    }


GROUPS = ("sinal-slo-recording", "sinal-slo")


@pytest.mark.parametrize("promise", PROMISES, ids=[promise.slo for promise in PROMISES])
def test_a_budget_that_burns_is_told_by_the_windows_it_is_too_fast_for(
    promtool: str, tmp_path: Path, promise: Promise
) -> None:
    tests = []
    for burn in BURNS if promise.slo == "ingest" else (BURNS[0], BURNS[-1]):
        share = 1.2 * burn.factor * promise.allowed
        tests.append(
            burning(promise, share, 1_000_000, [one for one in BURNS if one.factor <= burn.factor])
        )
    run(promtool, tmp_path, GROUPS, tests)


@pytest.mark.parametrize("promise", PROMISES, ids=[promise.slo for promise in PROMISES])
def test_errors_within_the_budget_are_not_told(
    promtool: str, tmp_path: Path, promise: Promise
) -> None:
    run(promtool, tmp_path, GROUPS, [burning(promise, 0.8 * promise.allowed, 1_000_000, [])])


def test_one_failure_of_a_quiet_night_wakes_nobody(promtool: str, tmp_path: Path) -> None:
    night = {
        'sinal_ingest_requests_total{source="browser", status="202"}': "0x60 1x60 2x60 3x60",
        'sinal_ingest_requests_total{source="browser", status="503"}': "0x100 1x200",
    }
    firing = 'ALERTS{alertname="SinalIngestBudgetBurn"}'
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in night.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": at, "exp_samples": []} for at in ("101m", "105m", "150m")
        ],
    }
    run(promtool, tmp_path, GROUPS, [test])


def test_what_is_left_of_a_budget(promtool: str, tmp_path: Path) -> None:
    """A quarter of what is allowed was bad: three quarters are left."""
    (ingest, *_) = PROMISES
    left = '1 - sinal:slo_errors:ratio_rate30d{slo="ingest"} / sinal:slo:allowed{slo="ingest"}'
    rounded = f"round({left}, 0.001)"
    test = burning(ingest, 0.25 * ingest.allowed, 1_000_000, [])
    test["promql_expr_test"] = [
        {
            "expr": rounded,
            "eval_time": "3h",
            "exp_samples": [{"labels": '{slo="ingest"}', "value": 0.75}],
        }
    ]
    run(promtool, tmp_path, GROUPS, [test])


def test_a_promise_without_a_single_error_is_kept(promtool: str, tmp_path: Path) -> None:
    series = {'sinal_ingest_requests_total{source="browser", status="202"}': "0+100x60"}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'sinal:slo_errors:ratio_rate1h{slo="ingest"}',
                "eval_time": "50m",
                "exp_samples": [
                    {"labels": 'sinal:slo_errors:ratio_rate1h{slo="ingest"}', "value": 0}
                ],
            }
        ],
    }
    run(promtool, tmp_path, GROUPS, [test])


@pytest.mark.parametrize("group", sorted(path.name for path in RULES.glob("*.yaml")))
def test_promtool_takes_the_rules(promtool: str, group: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES / group)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
