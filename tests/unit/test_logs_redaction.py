"""The last line of defence of every log line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sinal_core.telemetry import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="info", json=True, stream=stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        "maria.silva+x@loja.com.br",
        "maria%40loja.com.br",
        "+55 (11) 99999-8888",
        "11999998888",
        "(11) 3333-4444",
        "5511999998888",
        "123.456.789-09",
        "12345678909",
        "12.345.678/0001-95",
        "4111 1111 1111 1111",
        "sk_3f9a7c1122334455",
        "EAAGm0PX4ZCpsBAKZCkZAZCx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "Bearer abc.def",
        "/api/v1/webhooks/hotmart/k3j4h5g6",
        "nats://user:hunter2@127.0.0.1:4222",
    ],
)
def test_what_looks_like_a_person_or_a_secret_is_masked(text: str) -> None:
    masked = logs.mask(f"failed for {text} at step 3")
    assert logs.MASK in masked
    assert masked.startswith("failed for ") and masked.endswith(" at step 3")
    secret = (
        text.removeprefix("Bearer ")
        .removeprefix("/api/v1/webhooks/")
        .removeprefix("nats://")
        .split("@127")[0]
    )
    assert secret not in masked


@pytest.mark.parametrize(
    "text",
    [
        "HP16015479281022",
        "ev_abcdefghijklmnopqrstuvwxyz",
        "0190a3f2-1234-7abc-8def-123456789012",
        "2025-05-02T13:04:05.123456Z",
        "127.0.0.1:4222",
        "t.loja.in.sale",
        "curso:lead:7",
        "client.py:412 publish",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert logs.mask(text) == text


def test_digests_are_cut_short() -> None:
    assert logs.mask("em " + "ab" * 32) == "em abababab…"


def test_values_go_by_their_names_at_any_depth(lines: io.StringIO) -> None:
    structlog.get_logger("x").info(
        "plan.read",
        access_token="a",
        config={"list": [{"email": "b"}], "ok": 1},
        phone=11,
        tenant="loja",
        attempts=3,
    )
    [line] = read(lines)
    assert line["access_token"] == line["phone"] == logs.MASK
    assert line["config"] == {"list": [{"email": logs.MASK}], "ok": 1}
    assert (line["event"], line["tenant"], line["attempts"], line["level"]) == (
        "plan.read",
        "loja",
        3,
        "info",
    )
    assert line["timestamp"].endswith("Z")


def test_libraries_and_tracebacks_are_masked_too(lines: io.StringIO) -> None:
    logging.getLogger("somewhere").warning("sent to %s", "maria@loja.example")
    try:
        raise ValueError("row of maria@loja.example")
    except ValueError:
        structlog.get_logger("x").exception("boom")
    assert "maria" not in lines.getvalue()
    assert [line["level"] for line in read(lines)] == ["warning", "error"]
    assert "ValueError" in read(lines)[1]["exception"]


def test_level_is_kept_and_checked(lines: io.StringIO) -> None:
    structlog.get_logger("x").debug("quiet")
    assert lines.getvalue() == ""
    with pytest.raises(ValueError, match="none of debug, info"):
        logs.configure(level="loud")


def test_console_format_is_masked(lines: io.StringIO) -> None:
    logs.configure(level="info", json=False, stream=lines)
    structlog.get_logger("x").info("hello", who="maria@loja.example")
    assert "hello" in lines.getvalue() and "maria" not in lines.getvalue()
