"""What each role may say and hear on NATS, where it has a user of its own: one table for page,
chart and tests.

Only the operator makes streams and writes plans. Who may write into a stream may not make consumers
on it: a consumer delivers to any subject, whatever its maker's rights, and what ingest has stored
would become a plan. Answers come to an inbox under the role's name, which no other role hears.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from sinal_crds import names

_API = "$JS.API."
_ALL = ">"


class Rights(msgspec.Struct, frozen=True):
    """Subjects of one user; beside `hear` its own inbox."""

    say: tuple[str, ...]
    hear: tuple[str, ...] = ()
    answers: bool = False  # may answer what it was asked


def _stream(bucket: str) -> str:
    return f"KV_{bucket}"


def _asks(*paths: str) -> tuple[str, ...]:
    return tuple(_API + path for path in paths)


_PLANS = _stream(names.PLANS_BUCKET)
_KEPT = _stream(names.QUARANTINE_BUCKET)
_GOING = _stream(names.DEPARTURES_BUCKET)
_STATUS = _stream(names.STATUS_BUCKET)

_READS_PLANS = (
    names.PROVISION_SUBJECT,
    *_asks(f"STREAM.INFO.{_PLANS}", f"CONSUMER.CREATE.{_PLANS}", f"CONSUMER.MSG.NEXT.{_PLANS}.*"),
)
_ASKS_WHOSE_ROWS = _asks(f"STREAM.INFO.{_GOING}", f"STREAM.MSG.GET.{_GOING}")
# the last for how long something waits
_COUNTS = _asks("STREAM.LIST", "CONSUMER.LIST.*", "STREAM.MSG.GET.*")
_LOOKS_AT_QUEUES = (*_COUNTS, *_asks("INFO", "STREAM.INFO.*", "CONSUMER.NAMES.*"))
_TAKES_IN, _GIVES_OUT = names.in_filter("*"), names.out_subject("*", "*")
_EMPTIES_QUARANTINE = _asks(f"STREAM.PURGE.{_KEPT}")

RIGHTS: Mapping[str, Rights] = MappingProxyType(
    {
        "ingest": Rights(
            say=(
                *_READS_PLANS,
                _TAKES_IN,
                f"$KV.{names.QUARANTINE_BUCKET}.>",
                names.TALLY_SUBJECT,
                *_asks(f"STREAM.INFO.{_KEPT}"),
            ),
            hear=(names.FORGET_SUBJECT,),
        ),
        "match": Rights(
            say=(
                *_READS_PLANS,
                *_ASKS_WHOSE_ROWS,
                _TAKES_IN,
                _GIVES_OUT,
                *_asks(f"CONSUMER.MSG.NEXT.*.{names.MATCH_CONSUMER}"),
                f"$JS.ACK.*.{names.MATCH_CONSUMER}.>",
            ),
        ),
        "dispatch": Rights(
            say=(
                *_READS_PLANS,
                *_ASKS_WHOSE_ROWS,
                names.STOPPED_SUBJECT,
                names.RECOVERED_SUBJECT,
                # Wildcards of NATS stand for whole tokens: `dispatch-*` would be a name, not a
                # pattern.
                *_asks("CONSUMER.MSG.NEXT.*.*"),
                "$JS.ACK.>",
            ),
            hear=(names.STOPPED_SUBJECT, names.RECOVERED_SUBJECT),
        ),
        "api": Rights(
            say=(
                *_READS_PLANS,
                *_LOOKS_AT_QUEUES,
                _TAKES_IN,
                _GIVES_OUT,
                *_EMPTIES_QUARANTINE,
            ),
        ),
        "housekeeping": Rights(
            say=(
                *_READS_PLANS,
                *_LOOKS_AT_QUEUES,
                _TAKES_IN,
                _GIVES_OUT,
                names.FORGET_SUBJECT,
                f"$KV.{names.STATUS_BUCKET}.>",
                *_EMPTIES_QUARANTINE,
                *_asks(f"STREAM.PURGE.{_GOING}", f"STREAM.PURGE.{_STATUS}", "STREAM.MSG.DELETE.*"),
            ),
            hear=(names.TALLY_SUBJECT,),
            answers=True,
        ),
        "metrics-adapter": Rights(say=_COUNTS),
        "operator": Rights(say=(_ALL,), hear=(_ALL,)),
    }
)
# backups read, and restoring makes, every stream: they have the operator's user
BACKUP = "operator"


def inbox(role: str) -> str:
    """What the subjects begin with at which a role is answered."""
    return f"_INBOX.sinal-{role}"


def variable(role: str) -> str:
    """The variable of nats-server's environment that has a role's password."""
    return f"$NATS_PASSWORD_{role.upper().replace('-', '_')}"


def users(password: Callable[[str], str] = variable) -> str:
    """The users of nats-server's configuration.

    `password` writes that of a role, as it stands in the file.
    """
    return "\n".join(_user(role, rights, password(role)) for role, rights in RIGHTS.items())


def _user(role: str, rights: Rights, password: str) -> str:
    hear = rights.hear if _ALL in rights.hear else (f"{inbox(role)}.>", *rights.hear)
    return "\n".join(
        (
            f'{{ user: "sinal-{role}", password: {password}, permissions: {{',
            f"    publish: {_listed(rights.say)}",
            f"    subscribe: {_listed(hear)}",
            *(("    allow_responses: true",) if rights.answers else ()),
            "} }",
        )
    )


def _listed(subjects: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"
