"""`GET /api/v1/track/p.gif`: a tracking event for places where only an image can be loaded (AMP,
e-mail, no script).

The body is always the same transparent pixel; whether the event was accepted is told by the status
alone.
"""

from __future__ import annotations

from base64 import b64decode

from sinal_core.http import problem
from sinal_core.http.exchange import Answer, Request
from sinal_core.http.problem import FieldError
from sinal_hub.ingest.tracking.accept import Entry
from sinal_hub.ingest.tracking.door import Tracking
from sinal_hub.intake.tracking_schema import KINDS
from sinal_hub.model.events import TRACKING_KINDS

GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_HEADERS = ((b"cache-control", b"no-store"),)
_FLAGS = {"1": True, "true": True, "0": False, "false": False}
_UTM = "utm_"
# Personal data has no place in a URL: `user` and `client` can't be given here.
_NOT_HERE = frozenset({"user", "client", "items", "utm", "e", "event"})


class Pixel:
    """The door for images."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking

    async def get(self, request: Request, slug: str | None) -> Answer:
        """Accept the event and answer the pixel.

        A Problem becomes its status with the pixel as body.

        HEAD accepts nothing: it is a look, not a visit.
        """
        if request.method == "HEAD":
            return Answer(200, GIF, b"image/gif", _HEADERS)
        try:
            await self._tracking.beacon(request, slug, entry(request.query))
        except problem.Problem as error:
            return Answer(error.status, GIF, b"image/gif", (*error.headers, *_HEADERS))
        return Answer(200, GIF, b"image/gif", _HEADERS)


def entry(query: dict[str, str]) -> Entry:
    """The event in the query: `e` (or `event`) is its type, by default `pageview`.

    The rest as in JSON bodies.
    """
    fields: dict[str, object] = {}
    utm: dict[str, object] = {}
    for name, value in query.items():
        name = name.removeprefix("amp;")  # noqa: PLW2901 - mails escape what was escaped
        if not value:
            continue
        if name.startswith(_UTM):
            utm[name.removeprefix(_UTM)] = value
        elif name == "consent_ads":
            fields[name] = _FLAGS.get(value.lower(), value)
        elif name not in _NOT_HERE:
            fields[name] = value
    kind = KINDS.get(query.get("e") or query.get("event") or "pageview")
    if kind is None:
        raise problem.invalid([FieldError("e", "must be one of " + ", ".join(TRACKING_KINDS))])
    if utm:
        fields["utm"] = utm
    return Entry(kind, fields, "")
