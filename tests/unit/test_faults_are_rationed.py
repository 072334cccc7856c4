"""Which lines of the log are faults, and how many of them are reported."""

from __future__ import annotations

import io
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sinal_cli.reporting import DSN, ROLES, named
from sinal_cli.roles import process
from sinal_core.settings import PREFIX
from sinal_core.telemetry import logs
from sinal_core.telemetry.faults import (
    AGAIN_S,
    MOST,
    BadAddress,
    Fault,
    FaultReports,
    Ration,
    connect,
)
from sinal_core.telemetry.places import where
from sinal_core.telemetry.settings import FaultSettings


class Sent(list[Fault]):
    """A sender that keeps."""

    def send(self, fault: Fault) -> None:
        self.append(fault)

    def close(self, timeout_s: float) -> None:
        """Nothing is left."""


@pytest.fixture
def sent() -> Sent:
    """What is reported of a configured log."""
    found = Sent()
    logging.getLogger().addHandler(FaultReports(found))
    logs.configure(stream=io.StringIO())
    return found


def fail(log: structlog.stdlib.BoundLogger, **fields: object) -> None:
    try:
        raise KeyError("maria@loja.example")
    except KeyError as error:
        log.error("test.fault", at=where(error), **fields)


def test_a_fault_has_its_line_its_exception_and_its_tenant(sent: Sent) -> None:
    fail(structlog.get_logger("sinal_test"), tenant="loja")
    [fault] = sent
    assert (fault.message, type(fault.error), fault.tenant) == ("test.fault", KeyError, "loja")


def test_an_exception_may_be_handed_over_where_none_is_handled(sent: Sent) -> None:
    structlog.get_logger("sinal_test").error("test.fault", fault=KeyError("a"))
    logging.getLogger("sinal_test").error("failed %s", "maria", exc_info=OSError())
    assert [(one.message, type(one.error)) for one in sent] == [
        ("test.fault", KeyError),
        ("failed %s", OSError),
    ]


def test_what_is_handed_over_stands_in_no_line() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    structlog.get_logger("sinal_test").error("test.fault", fault=KeyError("quoted"))
    assert "test.fault" in stream.getvalue()
    assert "quoted" not in stream.getvalue() and '"fault"' not in stream.getvalue()


def test_refusals_and_warnings_are_not_faults(sent: Sent) -> None:
    log = structlog.get_logger("sinal_test")
    try:
        raise ValueError("refused")
    except ValueError as error:
        log.error("plans.refused", reason=str(error))
        log.warning("test.retried", at=where(error))
    log.error("test.difference", rows=3)
    assert sent == []


def test_a_line_of_a_library_is_named_by_its_logger(sent: Sent) -> None:
    logging.getLogger("asyncio").error("never retrieved: maria silva", exc_info=OSError())
    assert [one.message for one in sent] == ["asyncio"]


def test_a_sender_that_fails_costs_a_warning() -> None:
    class Broken(Sent):
        def send(self, fault: Fault) -> None:
            raise OSError("maria@loja.example")

    stream = io.StringIO()
    logging.getLogger().addHandler(FaultReports(Broken()))
    logs.configure(stream=stream)
    fail(structlog.get_logger("sinal_test"))
    assert "not reported: OSError" in stream.getvalue()
    assert "maria" not in stream.getvalue()


def test_a_storm_of_one_fault_is_one_report_and_its_count() -> None:
    now, sent = [0.0], Sent()
    reports = FaultReports(sent, clock=lambda: now[0])
    for _ in range(1_000):
        reports.report(KeyError(), "test.fault")
    assert [fault.repeats for fault in sent] == [0]
    now[0] = AGAIN_S
    reports.report(KeyError(), "test.fault")
    assert [fault.repeats for fault in sent] == [0, 999]


@given(
    st.lists(st.tuples(st.floats(0, 90), st.integers(0, 600)), max_size=300),
)
def test_reports_are_bounded_whatever_comes(storm: list[tuple[float, int]]) -> None:
    now = 0.0
    ration = Ration(lambda: now)
    at: list[float] = []
    for pause, which in storm:
        now += pause
        if ration.repeats((str(which), "", "")) is not None:
            at.append(now)
    for begin in at:
        assert sum(begin <= one < begin + AGAIN_S for one in at) <= 2 * MOST


@pytest.mark.parametrize(
    "dsn", ["secretkey", "https://sentry.example/1", "https://secretkey@sentry.example/",
            "ftp://secretkey@sentry.example/1", "https://secretkey@sentry.example:x/1"]
)  # fmt: skip
def test_an_address_that_can_not_be_meant_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(BadAddress) as refused:
        connect(dsn, role="api", release="1")
    assert "SINAL_ERROR_REPORTS_DSN" in str(refused.value)
    assert "secretkey" not in str(refused.value)


def test_the_variable_is_the_settings() -> None:
    [name] = FaultSettings.model_fields
    assert f"{PREFIX}{name.upper()}" == DSN


def test_a_report_is_named_by_role_or_command_and_by_no_other_word() -> None:
    assert set(process.ROLES) == ROLES
    assert named(["run", "match", "--file", "maria"]) == "match"
    assert named(["migrate", "--wait", "3"]) == "migrate"
    assert [named(words) for words in ([], ["maria"], ["run", "maria"])] == ["cli"] * 3
