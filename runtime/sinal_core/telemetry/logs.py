"""Logging of a process: structlog for our own lines and for libraries', and a last line of defence
over all of them.

Nobody here means to log a secret or a person. `Redact` stands behind that: it drops values under
names that hold such things and masks what looks like an e-mail address, a phone, a CPF, a card or a
token anywhere in a line, tracebacks included. It rather masks an innocent number than lets a phone
through. SHA-256 digests are cut short: whole, they identify.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from sinal_core.telemetry import personal

MASK = "[redacted]"
MAX_DEPTH = 6

# Words in a key that say that its value is a secret or personal. `name` alone is that of an object
# here.
_SENSITIVE = re.compile(
    rf"(?:^|[_\-.])(?:{personal.CONTACT_WORDS}|{personal.SECRET_WORDS}|access[_-]?key|server[_-]?key|admin[_-]?key|"
    r"credential\w*|authorization|cookie|set-cookie|hottok|signature|private|phone\w*|birth\w*|"
    r"sobrenome|surname|(?:first|last|full|user|buyer|customer)[_-]?name|nome|user[_-]?agent|client[_-]?ip|peer|dsn)"
    r"(?:$|[_\-.s])",
    re.IGNORECASE,
)

_MASKED = re.compile(
    r"""
    [A-Za-z0-9._%+\-]+(?:@|%40)[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+      # e-mail
    | \b(?:sk|sak|whsec|rk)_[A-Za-z0-9_\-]{8,}                          # our keys, Stripe's secrets
    | \bEAA[A-Za-z0-9]{20,}                                             # Meta access tokens
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*      # JSON web tokens
    | (?<=[Bb]earer\ )[^\s"',]+ | (?<=[Bb]asic\ )[A-Za-z0-9+/=]{8,}     # Authorization
    | (?<=/webhooks/)[A-Za-z0-9_\-]+/[^\s"'/?\#]+                       # the unguessable segment
    | (?<=://)[^\s/@"']+(?=@)                                           # user:password@host
    | (?<![\w.\-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w\-])                   # CPF
    | (?<![\w.\-])\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}(?![\w\-])             # CNPJ
    | (?<![\w.\-])\d{5}-\d{3}(?![\w\-])                                 # CEP
    | (?<![\w.\-])\+?(?:55[\s.\-]?)?\(?\d{2}\)?[\s.\-]?9?[\s.]?\d{4}[\s.\-]?\d{4}(?![\w\-])  # phone
    | (?<![\w.\-])\+?\d(?:[\s\-]?\d){9,18}(?![\w\-])                    # any other long number: phone, card, CPF
    """,
    re.VERBOSE,
)
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


class Kept(logging.Handler):
    """A handler that stays where lines are configured anew."""


class Redact:
    """A structlog processor that masks secrets and personal data."""

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {
            key: value if key in _OURS else _value(key, value, MAX_DEPTH)
            for key, value in event.items()
        }


def mask(text: str) -> str:
    """The text with everything masked that looks like a secret or a person."""
    return _DIGEST.sub(r"\1…", _MASKED.sub(_masked, text))


def configure(
    *,
    level: str = "info",
    json: bool = True,
    stream: TextIO | None = None,
    handler: logging.Handler | None = None,
) -> None:
    """Send structlog's and the standard library's lines to `stream` (default: standard error), as
    JSON or for people.

    A `handler` of the caller's, such as one over a file that is rotated, takes the stream's place.
    Raises ValueError for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is none of debug, info, warning, error")
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # a cached logger would keep the processors of before where lines are configured anew
        cache_logger_on_first_use=False,
    )
    handler = handler or logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # before Redact, which masks a traceback only once it is text
                structlog.processors.format_exc_info,
                _without_fault,
                Redact(),
                _renderer(
                    json=json,
                    terminal=isinstance(handler, logging.StreamHandler) and handler.stream.isatty(),
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler, *(one for one in root.handlers if isinstance(one, Kept))]
    root.setLevel(number)


def _without_fault(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An exception that is handed to reports (`telemetry.faults`) and stands in no line."""
    event.pop("fault", None)
    return event


# Fields that this module writes itself.
_OURS = frozenset({"timestamp", "level", "logger"})


def _renderer(*, json: bool, terminal: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer(
            ensure_ascii=False, default=lambda value: mask(repr(value))
        )
    return structlog.dev.ConsoleRenderer(colors=terminal)


def _masked(found: re.Match[str]) -> str:
    # a time has as many digits in a row as a phone
    return found[0] if _ISO_TIME.match(found[0]) else MASK


def _value(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if depth == 0 or _SENSITIVE.search(key):
        return MASK
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _value(str(name), item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", item, depth - 1) for item in value]
    return mask(value if isinstance(value, str) else repr(value))
