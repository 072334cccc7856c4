"""The edge's routes: a path becomes an endpoint, the words in it, and the template that logs may
show.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sinal_crds.names import SLUG_PATTERN, is_own_path
from sinal_hub.intake.tracking_schema import KINDS

_SLUG = re.compile(SLUG_PATTERN)
_TENANT_PREFIX = "/t/{slug}"
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_POST, _GET = frozenset({"POST"}), frozenset({"GET", "HEAD"})
_OWN = "/{own}"  # a tenant's own word, which no public list of trackers names
_ALIVE = "/healthz"
_WEBHOOKS = "/webhooks"


class Route(NamedTuple):
    """Where a request goes."""

    endpoint: str  # script, track, batch, pixel, own, webhook, alive
    methods: frozenset[str]
    template: str
    slug: str | None = None
    name: str = ""  # kind of a tracking event, or gateway
    token: str | None = None

    @property
    def is_tracking(self) -> bool:
        """Whether pages post here, so that CORS applies."""
        return self.endpoint in ("track", "batch", "pixel", "own")

    @property
    def takes_events(self) -> bool:
        """Whether what comes here becomes events."""
        return self.is_tracking or self.endpoint == "webhook"


_SCRIPT = Route("script", _GET, "/s.js")
REMEMBERED_LENGTH = 256  # characters of a path; longer ones are nobody's


def find(path: str) -> Route | None:
    """The route of a path, or None."""
    return _remembered(path) if len(path) <= REMEMBERED_LENGTH else _find(path)


def _find(path: str) -> Route | None:
    found = _exact(path)
    return found or (_exact(_tidied(path)) if _WEBHOOKS in path else None)


def _tidied(path: str) -> str:
    """A webhook's URL as it was meant: panels and people add slashes and blanks."""
    head, _, tail = path.partition(_WEBHOOKS)
    words = [word for part in tail.split("/") if (word := part.strip())]
    start = "/".join(["", *filter(None, head.split("/"))])
    return "/".join([start + _WEBHOOKS, *words])


def _exact(path: str) -> Route | None:
    if path == _ALIVE:
        return Route("alive", _GET, path)
    slug: str | None = None
    if path.startswith("/t/"):
        slug, _, rest = path[3:].partition("/")
        if not _SLUG.match(slug):
            return None
        path = "/" + rest
    route = _SCRIPT if path == _SCRIPT.template else _api(path.split("/"))
    if route is None or slug is None:
        return route
    return route._replace(slug=slug, template=_TENANT_PREFIX + route.template)


_remembered = lru_cache(maxsize=4_096)(_find)  # a tenant has a handful of paths


def _api(parts: list[str]) -> Route | None:
    match parts:
        case ["", "api", "v1", "track", "batch"]:
            return Route("batch", _POST, "/api/v1/track/batch")
        case ["", "api", "v1", "track", "p.gif"]:
            return Route("pixel", _GET, "/api/v1/track/p.gif")
        case ["", "api", "v1", "track", kind] if kind in KINDS:
            return Route("track", _POST, f"/api/v1/track/{kind}", name=kind)
        case ["", "api", "v1", "webhooks", gateway] if _WORD.fullmatch(gateway):
            return Route("webhook", _POST, "/api/v1/webhooks/{gateway}", name=gateway.lower())
        case ["", "api", "v1", "webhooks", gateway, token] if (
            _WORD.fullmatch(gateway) and token.strip() == token != ""
        ):
            template = "/api/v1/webhooks/{gateway}/{token}"
            return Route("webhook", _POST, template, name=gateway.lower(), token=token)
    return _own(parts[2:]) if len(parts) > 1 and parts[0] == "" and is_own_path(parts[1]) else None


def _own(rest: list[str]) -> Route | None:
    """Below a tenant's own word."""
    match rest:
        case []:
            return Route("own", _POST | _GET, _OWN)
        case ["s.js"]:
            return Route("script", _GET, f"{_OWN}/s.js")
        case [kind] if kind in KINDS:
            return Route("track", _POST, f"{_OWN}/{kind}", name=kind)
    return None
