"""Options that the commands share: which API, which events, how to print."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

_SPAN = re.compile(r"^(\d{1,6})([smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@Parameter(name="*")
@dataclass(frozen=True)
class Api:
    """Which API, and how to print what it says."""

    api: Annotated[str | None, Parameter(help="Base URL of the operations API; default: SINAL_API_URL.")] = None
    key: Annotated[str | None, Parameter(help="Key; default: SINAL_API_KEY.")] = None
    data: Annotated[
        Path | None, Parameter(help="Data folder of a running `sinal up`, which tells both; default: .sinal.")
    ] = None
    json: Annotated[bool, Parameter(help="JSON lines, as where standard output is no terminal.", negative=())] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Filter:
    """Conditions on events; they combine."""

    tenant: Annotated[str | None, Parameter(help="Slug of a tenant.")] = None
    funnel: str | None = None
    kind: Annotated[str | None, Parameter(help="click, pageview, lead, sale, …")] = None
    status: Annotated[str | None, Parameter(help="Of a sale: approved, refunded, …")] = None
    gateway: str | None = None
    order_id: Annotated[str | None, Parameter(name=["--order-id", "--order"])] = None
    click_id: Annotated[str | None, Parameter(name=["--click-id", "--click"])] = None
    outcome: Annotated[
        Literal["in_flight", "delivered", "withheld", "dead"] | None, Parameter(help="How it ended.")
    ] = None
    reason: Annotated[str | None, Parameter(help="Why: no_consent, duplicate, rejected, …")] = None
    decision: Literal["match", "review", "unmatched"] | None = None
    email_sha256: Annotated[str | None, Parameter(help="SHA-256 of the normalised e-mail.")] = None
    since: Annotated[
        str | None,
        Parameter(help="A time, of this machine's zone unless it names one, or so long ago: 90s, 30m, 2h, 7d."),
    ] = None
    until: Annotated[str | None, Parameter(help="Likewise.")] = None

    def query(self) -> dict[str, Any]:
        """What was given."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return given | {name: moment_of(given[name]) for name in ("since", "until") if name in given}


NO_API, NO_FILTER = Api(), Filter()


def moment_of(text: str) -> str:
    """`2h` as the time two hours ago, a time without a zone as one of here, as tables show it; else as it stands."""
    found = _SPAN.match(text)
    if found is not None:
        return (datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})).isoformat()
    try:
        moment = datetime.fromisoformat(text)
        return text if moment.tzinfo else moment.astimezone().isoformat()
    except (ValueError, OverflowError):
        return text
