"""Error classes follow Graph's codes.

Rows are the project's facts about Meta, not this code's output.
"""

from __future__ import annotations

import json

import pytest

from sinal_core.outbox.answers import Kind, Usage, Verdict
from sinal_hub.meta.errors import NoAnswer, NotSent, classify


def graph_error(
    code: int,
    subcode: int | None = None,
    *,
    status: int = 400,
    transient: bool = False,
    sent: int = 10,
    **more: object,
) -> Verdict:
    error = {
        "message": "Invalid parameter",
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "is_transient": transient,
        "fbtrace_id": "AbC",
        **more,
    }
    return classify(status, json.dumps({"error": error}).encode(), sent=sent)


@pytest.mark.parametrize(
    ("code", "subcode", "status", "kind"),
    [
        (1, None, 500, "retry"),
        (2, None, 500, "retry"),
        (341, None, 400, "retry"),
        (5000, None, 400, "retry"),
        (21009, None, 400, "retry"),
        (3910001, None, 400, "retry"),
        (4, None, 400, "throttle"),
        (4, 1504022, 400, "throttle"),
        (17, 2446079, 400, "throttle"),
        (32, None, 400, "throttle"),
        (613, 1487742, 400, "throttle"),
        (80000, None, 400, "throttle"),
        (80003, None, 400, "throttle"),
        (80004, None, 400, "throttle"),
        (80014, None, 400, "throttle"),
        (368, None, 400, "throttle"),
        (190, 460, 401, "credential"),
        (190, 463, 400, "credential"),
        (102, None, 400, "credential"),
        (104, None, 400, "credential"),
        (10, None, 403, "credential"),
        (200, None, 403, "credential"),
        (294, None, 400, "credential"),
        (3, None, 400, "credential"),
        (100, 33, 400, "configuration"),
        (2500, None, 400, "configuration"),
        (2635, None, 400, "configuration"),
        (100, 2804117, 400, "configuration"),
        (100, 2804118, 400, "configuration"),
        (100, 2804131, 400, "configuration"),
        (100, 2804132, 400, "configuration"),
        (100, 2804001, 400, "data"),
        (100, 2804003, 400, "data"),
        (100, 2804004, 400, "data"),
        (100, 2804009, 400, "data"),
        (100, 2804019, 400, "data"),
        (100, 2804050, 400, "data"),
        (100, 2804007, 400, "data"),
        (506, None, 400, "data"),
        (1609005, None, 400, "data"),
        (100, None, 400, "request"),
        (987654, None, 400, "unknown"),
        (987654, None, 500, "retry"),
        (987654, None, 429, "throttle"),
    ],
)
def test_code_and_subcode_decide(code: int, subcode: int | None, status: int, kind: Kind) -> None:
    verdict = graph_error(code, subcode, status=status)
    assert (verdict.kind, verdict.code, verdict.subcode, verdict.trace_id) == (
        kind,
        code,
        subcode,
        "AbC",
    )


def test_is_transient_saves_an_unknown_error_but_never_a_dead_token() -> None:
    assert graph_error(987654, transient=True).kind == "retry"
    assert graph_error(190, 460, transient=True).kind == "credential"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"events_received": 10, "messages": [], "fbtrace_id": "x"}', "delivered"),
        (200, b'{"events_received": 9, "messages": []}', "in_doubt"),
        (200, b'{"messages": []}', "in_doubt"),
        (200, b"<html>login</html>", "in_doubt"),
        (200, b"", "in_doubt"),
        (200, b'{"events_received": "10"}', "in_doubt"),
        (200, b"[10]", "in_doubt"),
        (302, b"", "unknown"),
        (403, b"<html>blocked</html>", "unknown"),
        (408, b"", "retry"),
        (413, b"<html>too large</html>", "request"),
        (429, b"<html>slow down</html>", "throttle"),
        (500, b"<html>oops</html>", "retry"),
        (503, b"<html>oops</html>", "retry"),
        (502, b"<html>bad gateway</html>", "in_doubt"),
        (504, b"<html>gateway timeout</html>", "in_doubt"),
        (400, b'{"error": "text"}', "unknown"),
        (400, b"[" * 10_000, "unknown"),
    ],
)
def test_answers_that_are_no_graph_error(status: int, body: bytes, kind: Kind) -> None:
    assert classify(status, body, sent=10).kind == kind


def test_an_error_object_is_believed_even_under_status_200() -> None:
    assert graph_error(190, status=200).kind == "credential"


def test_only_a_request_that_began_to_leave_is_in_doubt() -> None:
    assert classify(None, NotSent("ClientConnectorError"), sent=1).kind == "retry"
    assert classify(None, NoAnswer("TimeoutError"), sent=1).kind == "in_doubt"


def test_throttling_waits_as_long_as_the_headers_say() -> None:
    body = b'{"error": {"code": 80004, "message": "too many calls"}}'
    assert classify(400, body, sent=1, usage=Usage(regain_s=300.0)).retry_after_s == 300.0


def test_a_policy_block_waits_long_whatever_the_headers_say() -> None:
    verdict = graph_error(368)
    assert verdict.retry_after_s is not None
    assert verdict.retry_after_s >= 600


@pytest.mark.parametrize(
    "error_data",
    [
        {"blame_field_specs": [["data", "3", "event_time"], ["data", 5, "user_data", "fbc"]]},
        {"blame_field_specs": ["data[3].event_time", "data[5][user_data][fbc]"]},
        json.dumps({"blame_field_specs": [["data[3]", "event_time"], ["data[5]"]]}),
    ],
)
def test_blamed_events_are_read_from_any_form(error_data: object) -> None:
    assert graph_error(100, 2804019, error_data=error_data).blame == (3, 5)


def test_a_long_answer_is_cut() -> None:
    assert len(classify(500, b"x" * 100_000, sent=1).answer) == 2_000
