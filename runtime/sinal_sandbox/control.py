"""`/_sandbox/…`: what tests and people ask the emulator about itself, and how they tell it to fail.

Tokens appear in none of the answers. Times are RFC 3339 UTC with milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sinal_sandbox import faults, quality
from sinal_sandbox.journal import Journal
from sinal_sandbox.records import EventLog, Record, RecordFilter, RequestEntry, RequestLog
from sinal_sandbox.transport import json_answer

DEFAULT_LIMIT = 1_000  # of events or requests in one answer, the newest


class BadQuery(ValueError):
    """A query parameter that can't be read."""


class Control:
    """The emulator's own endpoints."""

    def __init__(
        self,
        *,
        log: EventLog,
        requests: RequestLog,
        board: faults.FaultBoard,
        journal: Journal | None,
    ) -> None:
        self._log = log
        self._requests = requests
        self._board = board
        self._journal = journal

    async def events(self, request: Request) -> Response:
        """The newest `limit` events that pass the filters, newest last, and how many pass."""
        query = request.query_params
        wanted = RecordFilter(**{name: query.get(name) for name in RecordFilter.__struct_fields__})
        try:
            records, total = self._log.find(wanted, limit=_limit(request))
        except BadQuery as problem:
            return _problem(str(problem), field="limit")
        return json_answer({"events": [_event(record) for record in records], "total": total})

    async def requests(self, request: Request) -> Response:
        """The newest `limit` requests to the events edge, newest last."""
        try:
            entries, total = self._requests.find(
                request.query_params.get("pixel"), limit=_limit(request)
            )
        except BadQuery as problem:
            return _problem(str(problem), field="limit")
        return json_answer({"requests": [_request(entry) for entry in entries], "total": total})

    async def show_faults(self, _: Request) -> Response:
        """The script in force with its counters."""
        return json_answer({"faults": self._board.state()})

    async def post_faults(self, request: Request) -> Response:
        """Put a script in force; 400 names the field that is wrong."""
        try:
            self._board.post(faults.parse(await request.body()))
        except faults.InvalidScript as problem:
            return _problem(str(problem), field=problem.field)
        return await self.show_faults(request)

    async def clear(self, _: Request) -> Response:
        """Forget events, requests and faults."""
        self._log.clear()
        self._requests.clear()
        self._board.clear()
        if self._journal is not None:
            self._journal.clear()
        return Response(status_code=204)

    async def clear_faults(self, _: Request) -> Response:
        """End the script, keep the rest."""
        self._board.clear()
        return Response(status_code=204)

    async def health(self, _: Request) -> Response:
        """Ready, with counters."""
        return json_answer(
            {"status": "ok", "events": self._log.counters(), "requests": self._requests.total}
        )


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit()):
        raise BadQuery("limit must be a whole number, 0 or more")
    return int(text)


def _event(record: Record) -> dict[str, Any]:
    return {
        "pixel": record.pixel,
        "received_at": _time(record.received_at),
        "duplicate": record.duplicate,
        "test_event_code": record.test_event_code,
        "match_quality": quality.score(record.identifiers),
        "event": msgspec.Raw(record.raw),
    }


def _request(entry: RequestEntry) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(entry)
    return {**shown, "at": _time(entry.at)}


def _time(at_ms: int) -> str:
    return (
        datetime.fromtimestamp(at_ms / 1_000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _problem(detail: str, *, field: str) -> Response:
    answer = json_answer(
        {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": detail,
            "field": field,
        },
        status=400,
    )
    answer.headers["content-type"] = "application/problem+json"
    return answer
