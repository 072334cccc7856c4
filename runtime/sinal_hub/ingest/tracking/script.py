"""`GET /s.js?f=<public key>`: the page script with the funnel's configuration written into it.

`&part=2` is what few pages need of it, the same for all funnels: the script asks for that itself.

The script is built from `tracker/` and lies beside this module, so production needs no Node. A
funnel's copy is rendered and compressed once and kept until its configuration changes. Whoever asks
for a funnel that is not here gets a comment that says so in the browser's network panel, and never
a script.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cached_property
from importlib.resources import files

import msgspec

from sinal_core.http import client_ip, problem
from sinal_core.http.exchange import Answer, Header, Request
from sinal_crds.names import own_path
from sinal_crds.plan import FunnelPlan, TenantPlan
from sinal_hub.ingest.http import mount
from sinal_hub.intake.ports import Plans

MEDIA_TYPE = b"text/javascript; charset=utf-8"
PLACE = b"SINAL_CONFIG"  # stands once in the script, as a name that nothing defines
MAX_AGE_S = 300
_HOST = re.compile(
    r"[a-z0-9_-][a-z0-9_.-]{0,252}(?::[0-9]{1,5})?|\[[0-9a-f:]{2,39}\](?::[0-9]{1,5})?"
)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?")
MAX_KEPT = 4_096  # rendered copies, about 20 KB each

_OPEN: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),  # for pages that load it with `crossorigin`
    # pages with Cross-Origin-Embedder-Policy load nothing from elsewhere that does not say so
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
)
_KEEP = (b"cache-control", f"public, max-age={MAX_AGE_S}".encode())
_KEEP_PRIVATE = (b"cache-control", f"private, max-age={MAX_AGE_S}".encode())
_NOT_FOUND = b"/* sinal: no funnel answers to this key here. Check f= in the script's address, and its host. */\n"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the script is to know."""

    key: str
    tenant: str
    path: str  # before the tenant's own word: empty on a tenant's own host
    consent: bool
    early: bool
    hosts: tuple[str, ...]
    # scheme and host of the edge, `//host` where the page's scheme is meant; empty: those of the
    # script
    base: str = ""

    def told(self) -> tuple[object, ...]:
        """As the script reads it; the order is that of `tracker/src/config.ts`."""
        batch = f"{self.base}{self.path}/{own_path(self.tenant)}"
        return self.key, self.tenant, batch, self.consent, self.early, self.hosts


class Rendered:
    """One funnel's copy of the script, or without a configuration what is the same for all."""

    def __init__(self, program: bytes, config: Config | None) -> None:
        self.body = (
            program.replace(PLACE, msgspec.json.encode(config.told())) if config else program
        )
        # Weak: the compressed and the plain form are the same script.
        self.etag = b'W/"' + hashlib.sha256(self.body).hexdigest()[:32].encode() + b'"'

    @cached_property
    def compressed(self) -> bytes:
        """The body as gzip, the same bytes in every process."""
        return gzip.compress(self.body, 9, mtime=0)


class Script:
    """The door for script elements."""

    def __init__(self, *, plans: Plans, country: client_ip.Country, trusted_proxies: int) -> None:
        self._plans, self._country, self._trusted_proxies = plans, country, trusted_proxies
        folder = files(__package__)
        self._program = folder.joinpath("s.min.js").read_bytes()
        self._second = Rendered(folder.joinpath("s2.min.js").read_bytes(), None)
        self._rendered: dict[Config, Rendered] = {}

    async def get(self, request: Request, slug: str | None) -> Answer:
        """The script of the funnel `f`.

        304 for a copy the browser still has, 404 with a comment for nobody's key.
        """
        found = self._find(request, slug)
        if found is None:
            return Answer(404, _NOT_FOUND, MEDIA_TYPE, ((b"cache-control", b"no-store"), *_OPEN))
        request.tenant, request.source = found.tenant, "browser"
        rendered = self._second if request.query.get("part") == "2" else self._render(found)
        headers = (
            (b"etag", rendered.etag),
            self._keep(request),
            (b"vary", b"Accept-Encoding"),
            *_OPEN,
        )
        if _is_among(rendered.etag, request.headers.get("if-none-match", "")):
            return Answer(304, headers=headers)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            return Answer(
                200, rendered.compressed, MEDIA_TYPE, ((b"content-encoding", b"gzip"), *headers)
            )
        return Answer(200, rendered.body, MEDIA_TYPE, headers)

    def _find(self, request: Request, slug: str | None) -> Config | None:
        snapshot = self._plans.snapshot
        key = request.query.get("f", "")
        try:
            where = mount.place(snapshot, request, slug)
        except problem.Problem:
            return None
        found = snapshot.by_public_key(key) if 0 < len(key) <= mount.MAX_CREDENTIAL else None
        if found is None or (where.tenant is not None and where.tenant.slug != found[0].slug):
            return None
        request.differs_by_country = bool(found[1].consent.required_in)
        base = base_of(request, trusted_proxies=self._trusted_proxies)
        country = self._country.of(request.headers)
        return configure(*found, own_host=where.own_host, country=country, base=base)

    @staticmethod
    def _keep(request: Request) -> Header:
        """A copy of one country is not for the caches of others."""
        return _KEEP_PRIVATE if request.differs_by_country else _KEEP

    def _render(self, config: Config) -> Rendered:
        if (rendered := self._rendered.get(config)) is None:
            if len(self._rendered) >= MAX_KEPT:
                self._rendered.clear()
            rendered = self._rendered[config] = Rendered(self._program, config)
        return rendered


def configure(
    tenant: TenantPlan,
    funnel: FunnelPlan,
    *,
    own_host: bool,
    country: str | None = None,
    base: str = "",
) -> Config:
    """What the funnel's plan says to its script, for a visitor of this country (None: unknown)."""
    asks = country is not None and country in funnel.consent.required_in
    return Config(
        key=funnel.public_key,
        tenant=tenant.slug,
        path="" if own_host else f"/t/{tenant.slug}",
        consent=funnel.consent.default == "Granted" and not asks,
        early=funnel.consent.cookies_before_consent and not asks,
        hosts=tuple(host.strip().lower().rstrip(".") for host in funnel.landing_hosts),
        base=base,
    )


def base_of(request: Request, *, trusted_proxies: int) -> str:
    """Where the script came from: caching plugins serve it from elsewhere, where nobody takes its
    events.

    Without a scheme unless that is sure: a page over HTTPS may not post to `http:`, but to this
    very machine.
    """
    host = request.headers.get("host", "").lower()
    if not _HOST.fullmatch(host):
        return ""
    if trusted_proxies and request.headers.get("x-forwarded-proto", "").lower() == "https":
        return f"https://{host}"
    return f"http://{host}" if _LOOPBACK.fullmatch(host) else f"//{host}"


def _is_among(etag: bytes, listed: str) -> bool:
    """If-None-Match, compared weakly (RFC 9110, 13.1.2)."""
    opaque = etag.decode().removeprefix("W/")
    return listed.strip() == "*" or opaque in (
        tag.strip().removeprefix("W/") for tag in listed.split(",")
    )


def _takes_gzip(accepted: str) -> bool:
    """Whether Accept-Encoding allows gzip; a weight of zero forbids it."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
