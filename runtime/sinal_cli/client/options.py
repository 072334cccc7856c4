"""Options that the commands share: which API, which events, how to print."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Kind = Literal[
    "click",
    "identify",
    "pageview",
    "view_content",
    "initiate_checkout",
    "lead",
    "sale",
    "heartbeat",
]
Status = Literal[
    "lead", "initiate_checkout", "pending", "overdue", "approved", "completed", "refused", "canceled", "expired",
    "refund_requested", "refunded", "partially_refunded", "chargeback", "chargeback_won", "subscription_renewed",
    "subscription_past_due", "subscription_canceled", "subscription_changed", "ignored",
]  # fmt: skip
Outcome = Literal["in_flight", "delivered", "withheld", "dead"]
_DAYS = {"today": 0, "yesterday": 1}
_SPAN = re.compile(r"^(\d{1,6})([smhd])$")
_HASH = re.compile(r"^[0-9A-Fa-f]{64}$")
ORDER = ("--order", "--order-id")  # one name and its older alias
CLICK = ("--click", "--click-id")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class BadEmail(ValueError):
    """What was given is not an e-mail address; the message says so."""


@Parameter(name="*")
@dataclass(frozen=True)
class ApiOptions:
    """Which API, and how to print what it says."""

    api: Annotated[
        str | None, Parameter(help="Base URL of the operations API; default: SINAL_API_URL.")
    ] = None
    key: Annotated[str | None, Parameter(help="Key; default: SINAL_API_KEY.")] = None
    data: Annotated[
        Path | None,
        Parameter(help="Data folder of a running `sinal up`, which tells both; default: .sinal."),
    ] = None
    json: Annotated[
        bool, Parameter(help="JSON lines, as where output is not a terminal.", negative=())
    ] = False


@Parameter(name="*")
@dataclass(frozen=True)
class FilterOptions:
    """Conditions on events; they combine."""

    tenant: Annotated[str | None, Parameter(help="Slug of a tenant.")] = None
    funnel: str | None = None
    kind: Kind | None = None
    status: Annotated[Status | None, Parameter(help="Of a sale.")] = None
    gateway: str | None = None
    order_id: Annotated[
        str | None, Parameter(name=ORDER, help="The gateway's number of a sale.")
    ] = None
    click_id: Annotated[str | None, Parameter(name=CLICK, help="Our click id.")] = None
    outcome: Annotated[Outcome | None, Parameter(help="How it ended.")] = None
    reason: Annotated[str | None, Parameter(help="Why: no_consent, duplicate, rejected, …")] = None
    decision: Literal["match", "review", "unmatched"] | None = None
    email: Annotated[
        str | None, Parameter(help="The buyer's; it is hashed before it leaves this machine.")
    ] = None
    email_sha256: Annotated[str | None, Parameter(help="SHA-256 of the normalised e-mail.")] = None
    since: Annotated[
        str | None,
        Parameter(
            help="A time, of this machine's zone unless it names one, or 2h, 7d ago, or yesterday."
        ),
    ] = None
    until: Annotated[str | None, Parameter(help="Likewise.")] = None

    def query(self) -> dict[str, Any]:
        """What was given."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if (email := given.pop("email", None)) is not None:
            given["email_sha256"] = hashed_email(email)
        return given | {
            name: moment_of(given[name]) for name in ("since", "until") if name in given
        }


def hashed_email(email: str) -> str:
    """Its SHA-256 as Meta wants it; one that is hashed already stands. Raises BadEmail."""
    from sinal_hub import identity

    found = email.lower() if _HASH.match(email) else identity.hashed("em", email)
    if found is None:
        raise BadEmail(f"--email: {email!r} is not an e-mail address")
    return found


NO_API, NO_FILTER = ApiOptions(), FilterOptions()


def moment_of(text: str) -> str:
    """As RFC 3339: `2h` ago, the midnight of `yesterday`, a time without a zone as one of here.

    Else as it stands.
    """
    found = _SPAN.match(text)
    if found is not None:
        return (datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})).isoformat()
    if text in _DAYS:
        midnight = (
            datetime.now()
            .astimezone()
            .replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        )
        return (midnight - timedelta(days=_DAYS[text])).astimezone().isoformat()
    try:
        moment = datetime.fromisoformat(text)
        return text if moment.tzinfo else moment.astimezone().isoformat()
    except (ValueError, OverflowError):
        return text
