"""Attack: a fault while a person's data is at hand, in whatever place a report could be made of."""

from __future__ import annotations

import io
import logging

import structlog

from sinal_core.telemetry import logs
from sinal_core.telemetry.faults import connect

from tests.support import canaries
from tests.support.error_receiver import KEY, receiving

PERSON = canaries.Person.of("fault")
WORDS = [PERSON.email, PERSON.name, PERSON.last_name, PERSON.street, canaries.secret("graph")]


class Said(Exception):
    """An exception that quotes everything."""

    def __init__(self) -> None:
        super().__init__(*WORDS, *PERSON.numbers)
        self.add_note(PERSON.name)
        self.request = {"headers": {"cookie": PERSON.email}}


def work(body: str) -> None:
    local = body + PERSON.cpf
    try:
        raise ValueError(local)
    except ValueError as error:
        raise Said from error


def test_no_word_of_a_person_and_no_secret_leaves() -> None:
    wanted = canaries.needles([*WORDS, *PERSON.numbers, canaries.CORE, canaries.ACCENTED])
    stream = io.StringIO()
    with receiving() as receiver:
        reports = connect(receiver.dsn, role="ingest", release="1.2.3")
        logging.getLogger().addHandler(reports)
        logs.configure(stream=stream)
        with structlog.contextvars.bound_contextvars(url=f"https://x.example/?q={PERSON.name}"):
            try:
                work(PERSON.street)
            except Said as error:
                structlog.get_logger("sinal_test").exception("test.fault", body=PERSON.name)
                logging.getLogger("library").error("failed for %s", PERSON.name, exc_info=error)
                logging.getLogger("other").exception(f"failed for {PERSON.name}")
                logging.getLogger("sinal_test").error(
                    f"failed for {PERSON.email}", exc_info=True, extra={"user": PERSON.name}
                )
                reports.report(error, "test.end", tenant="loja")
        reports.end()
    assert sorted(event["message"] for event in receiver.events) == [
        "failed for [redacted]",
        "library",
        "other",
        "test.end",
        "test.fault",
    ]
    assert canaries.leaks(b"".join(receiver.raw), wanted) == []
    assert KEY not in stream.getvalue()


def test_the_report_says_what_and_where_and_nothing_besides() -> None:
    with receiving() as receiver:
        reports = connect(receiver.dsn, role="ingest", release="1.2.3")
        try:
            work("")
        except Said as error:
            reports.report(error, "test.fault", tenant="loja")
        reports.end()
    [event] = receiver.events
    assert set(event) == {
        "event_id",
        "timestamp",
        "level",
        "platform",
        "release",
        "message",
        "tags",
        "extra",
        "exception",
    }
    assert (event["release"], event["tags"]) == ("1.2.3", {"role": "ingest", "tenant": "loja"})
    chain = event["exception"]["values"]
    assert [one["type"] for one in chain] == ["ValueError", "Said"]
    assert [one.get("value") for one in chain] == [None, "test.fault"]
    frames = chain[-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "work"
    assert {name for frame in frames for name in frame} <= {
        "function",
        "module",
        "lineno",
        "in_app",
    }
