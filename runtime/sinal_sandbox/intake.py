"""What happens to a submission: checked as a whole, then stored as a whole, or refused as a whole.

The invariant: events are in the log if and only if every event of their request was acceptable. No
I/O but the journal's append.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern

from sinal_sandbox import channels, rules
from sinal_sandbox.bodies import Submission
from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.errors import missing_object, token_invalid, token_missing
from sinal_sandbox.journal import Journal
from sinal_sandbox.records import EventLog, Record
from sinal_sandbox.refusals import EventRefusal


class Intake:
    """The door of the events edge; `clock` is Unix seconds."""

    def __init__(
        self,
        *,
        config: SandboxConfig,
        log: EventLog,
        journal: Journal | None,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._log = log
        self._journal = journal
        self._clock = clock
        self._messaging_names = channels.MESSAGING_NAMES[config.messaging_events]

    def check_token(self, token: str | None) -> None:
        """Raise GraphError 104 without a token, 190 for one that is not valid, 190/460 for a
        revoked one.
        """
        if not token:
            raise token_missing()
        if token in self._config.revoked:
            raise token_invalid(460)
        if self._config.tokens and token not in self._config.tokens:
            raise token_invalid()

    def check_pixel(self, pixel: str, method: str) -> None:
        """Raise GraphError 100/33 for a pixel that is not ours."""
        known = (
            pixel in self._config.pixels
            if self._config.pixels
            else pixel.isascii() and pixel.isdigit()
        )
        if not known:
            raise missing_object(pixel, method)

    def accept(self, pixel: str, submission: Submission) -> None:
        """Store every event of the submission, or none.

        Raises GraphError for the first event Meta would refuse.
        """
        now_s = self._clock()
        verdicts = self._verdicts(submission.events, now_s)
        # A load test keeps hundreds of thousands of records with a few pixels and names: one string
        # of each.
        now_ms, pixel = int(now_s * 1_000), intern(pixel)
        records = [
            self._record(pixel, verdict, raw, now_ms, submission.test_event_code)
            for verdict, raw in zip(verdicts, submission.raw, strict=True)
        ]
        for record in records:
            self._log.add(record)
        if self._journal is not None:
            self._journal.append(records, self._log)

    def _verdicts(self, events: list[object], now_s: float) -> list[rules.AcceptedEvent]:
        verdicts = []
        for index, event in enumerate(events):
            try:
                verdicts.append(
                    rules.check(event, now_s=now_s, messaging_names=self._messaging_names)
                )
            except EventRefusal as refusal:
                raise refusal.as_error(index) from refusal
        return verdicts

    def _record(
        self,
        pixel: str,
        verdict: rules.AcceptedEvent,
        raw: bytes,
        now_ms: int,
        test_event_code: str | None,
    ) -> Record:
        return Record(
            pixel=pixel,
            event_name=intern(verdict.event_name),
            event_id=verdict.event_id,
            order_id=verdict.order_id,
            event_time=verdict.event_time,
            received_at=now_ms,
            is_web=verdict.is_web,
            identifiers=verdict.identifiers,
            duplicate=self._log.seen.add(pixel, verdict.event_name, verdict.event_id, now_ms),
            test_event_code=test_event_code,
            raw=raw,
        )
