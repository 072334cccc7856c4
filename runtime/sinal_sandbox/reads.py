"""What a hub reads of the Graph API: a token's state, a pixel, a dataset's quality.

Only what the emulator can know is answered: coverage of browser events, for one, needs browser
events and is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sinal_sandbox import quality, versions
from sinal_sandbox.bodies import bearer
from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.customer import BITS
from sinal_sandbox.errors import GraphError, bad_parameter, missing_object
from sinal_sandbox.faults import FaultBoard
from sinal_sandbox.fields import select
from sinal_sandbox.intake import Intake
from sinal_sandbox.records import EventLog, Record, RecordFilter
from sinal_sandbox.transport import json_answer

QUALITY_WINDOW_MS = 48 * 3_600_000
_FEEDBACK = (
    "em",
    "ph",
    "fn",
    "ln",
    "ct",
    "zp",
    "country",
    "external_id",
    "fbc",
    "fbp",
    "client_ip_address",
)
_DEDUP_KEYS = ("external_id", "fbp")
_HOUR_S, _DAY_S = 3_600, 86_400


class Reads:
    """The reading endpoints; `clock` is Unix seconds."""

    def __init__(
        self,
        *,
        config: SandboxConfig,
        intake: Intake,
        log: EventLog,
        faults: FaultBoard,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._faults = faults
        self._intake = intake
        self._log = log
        self._clock = clock

    async def pixel(self, request: Request) -> Response:
        """`GET /{version}/{pixel}`: id, name and when it last received."""
        pixel = request.path_params["pixel"]
        return self._answer(
            request, lambda: self._pixel_info(pixel, request.query_params.get("fields")), pixel
        )

    async def debug_token(self, request: Request) -> Response:
        """`GET /{version}/debug_token?input_token=…`: as for a token made in Events Manager.

        Who asks with a token that is dead hears code 190, as from Meta; an `auth` fault for all
        kills every token, and one for a pixel those that came with its requests.
        """
        return self._answer(
            request, lambda: self._token_info(request.query_params.get("input_token"))
        )

    async def dataset_quality(self, request: Request) -> Response:
        """`GET /{version}/dataset_quality?dataset_id=…&fields=web{…}`: `{}` for a dataset without
        web events.
        """
        dataset = request.query_params.get("dataset_id")
        return self._answer(
            request, lambda: self._quality(dataset, request.query_params.get("fields")), dataset
        )

    def _answer(
        self, request: Request, content: Callable[[], Any], pixel: str | None = None
    ) -> Response:
        try:
            headers = versions.check(
                request.path_params["version"],
                now_s=self._clock(),
                expired=self._config.expired_version,
            )
            self._intake.check_token(
                request.query_params.get("access_token") or bearer(request.headers)
            )
            if request.method not in ("GET", "HEAD"):
                raise missing_object(request.url.path.rpartition("/")[2], request.method)
            if pixel:
                self._intake.check_pixel(pixel, request.method)
            return json_answer(content(), headers=headers)
        except GraphError as error:
            return json_answer(error.body(), status=error.status)

    def _pixel_info(self, pixel: str, fields: str | None) -> dict[str, Any]:
        newest, _ = self._log.find(RecordFilter(pixel=pixel), limit=1)
        info: dict[str, Any] = {"id": pixel, "name": f"Sandbox pixel {pixel}"}
        if newest:
            info["last_fired_time"] = datetime.fromtimestamp(
                newest[0].received_at / 1_000, UTC
            ).isoformat("T", "seconds")
        return info if fields is None else {"id": pixel, **select(info, fields)}

    def _token_info(self, token: str | None) -> dict[str, Any]:
        if fault := self._faults.invalidates(token):
            raise fault.error()
        try:
            self._intake.check_token(token)
        except GraphError as error:
            problem = {"code": error.code, "message": error.message, "subcode": error.subcode}
            return {"data": {"error": problem, "is_valid": False, "scopes": []}}
        scope = "read_ads_dataset_quality"
        return {
            "data": {
                "type": "SYSTEM_USER",
                "application": "Sandbox",
                "is_valid": True,
                "expires_at": 0,
                "data_access_expires_at": 0,
                "scopes": [scope],
                "granular_scopes": [{"scope": scope, "target_ids": sorted(self._config.pixels)}],
            }
        }

    def _quality(self, dataset: str | None, fields: str | None) -> dict[str, Any]:
        if not dataset:
            raise bad_parameter("The parameter dataset_id is required", field="dataset_id")
        since = int(self._clock() * 1_000) - QUALITY_WINDOW_MS
        by_name: defaultdict[str, list[Record]] = defaultdict(list)
        for record in self._log:
            if record.pixel == dataset and record.is_web and record.received_at >= since:
                by_name[record.event_name].append(record)
        content = {
            "web": [_event_quality(name, records) for name, records in sorted(by_name.items())]
        }
        if not by_name:
            return {}
        return content if fields is None else select(content, fields)


def _event_quality(name: str, records: list[Record]) -> dict[str, Any]:
    return {
        "event_name": name,
        "event_match_quality": {
            "composite_score": round(
                sum(quality.score(r.identifiers) for r in records) / len(records), 1
            ),
            "match_key_feedback": [
                {"identifier": key, "coverage": {"percentage": _coverage(records, key)}}
                for key in _FEEDBACK
            ],
            "diagnostics": [],
        },
        "dedupe_key_feedback": [
            _dedup_feedback(
                "event_id", _percentage((r.event_id is not None for r in records), len(records))
            ),
            *(_dedup_feedback(key, _coverage(records, key)) for key in _DEDUP_KEYS),
        ],
        "data_freshness": {"upload_frequency": _upload_frequency(records)},
    }


def _dedup_feedback(key: str, percentage: float) -> dict[str, Any]:
    return {"dedupe_key": key, "server_events_with_dedupe_key": {"percentage": percentage}}


def _coverage(records: list[Record], key: str) -> float:
    return _percentage((bool(r.identifiers & BITS[key]) for r in records), len(records))


def _percentage(hits: Iterable[bool], total: int) -> float:
    return round(100 * sum(hits) / total, 1)


def _upload_frequency(records: list[Record]) -> str:
    """From the median delay of the events; Meta advises real time, else under an hour."""
    delay_s = median(r.received_at / 1_000 - r.event_time for r in records)
    if delay_s < _HOUR_S:
        return "real_time"
    return "hourly" if delay_s < _DAY_S else "daily"
