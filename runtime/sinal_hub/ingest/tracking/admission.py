"""Who is asking: a key names a funnel, a page's origin proves a browser.

Keys are looked up by digest in the snapshot, so a look-up tells nothing by its timing. Every way
not to be known ends in the same words.
"""

from __future__ import annotations

from sinal_core.http import problem
from sinal_core.http.exchange import Request
from sinal_core.http.problem import FieldError
from sinal_core.plans.snapshot import sha256
from sinal_crds.plan import TenantPlan
from sinal_hub.ingest.http import mount
from sinal_hub.ingest.tracking import origins
from sinal_hub.intake.ports import Caller, Snapshot

SERVER_KEY = "sk_"


class Admission:
    """Lets the events of one request through, each to its funnel."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        landing_hosts: origins.LandingHosts,
        request: Request,
        where: mount.Mount,
    ) -> None:
        self._snapshot = snapshot
        self._hosts = landing_hosts
        self._place = where
        self._request = request
        self._page = page_host(request)
        self._server = self._by_server_key(request)
        self._known: dict[str, Caller] = {}

    @property
    def is_server(self) -> bool:
        """Whether the sender proved to hold a funnel's server key."""
        return self._server is not None

    def admit(self, funnel: str | None, *, field: str) -> Caller:
        """The caller for what an event gives as `funnel`; raises Problem 400, 403 or 404."""
        if funnel is None:
            raise problem.invalid([FieldError(field, "is required: the funnel's key")])
        if (caller := self._known.get(funnel)) is None:
            caller = (
                self._admit_server(funnel, field) if self._server else self._admit_browser(funnel)
            )
            self._known[funnel] = caller
        return caller

    def _by_server_key(self, request: Request) -> Caller | None:
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, key = header.partition(" ")
        key = key.strip()
        if (
            scheme.lower() != "bearer"
            or not key.startswith(SERVER_KEY)
            or len(key) > mount.MAX_CREDENTIAL
        ):
            raise problem.unauthorized()
        found = self._snapshot.by_server_key(key)
        if found is None or not self._is_here(found[0]):
            raise problem.unauthorized()
        if found[1].earlier_server_keys_sha256 and sha256(key) != found[1].server_key_sha256:
            self._request.earlier = ("server-key", found[1].name)
        return Caller(*found, is_server=True)

    def _admit_server(self, funnel: str, field: str) -> Caller:
        assert self._server is not None  # noqa: S101 - for the type checker; `admit` asked
        known = self._server.funnel
        if funnel not in (known.name, known.public_key, *known.earlier_public_keys):
            raise problem.invalid(
                [FieldError(field, "is not the funnel of this server key: give its name or key")]
            )
        return self._server

    def _admit_browser(self, funnel: str) -> Caller:
        found = (
            self._snapshot.by_public_key(funnel) if len(funnel) <= mount.MAX_CREDENTIAL else None
        )
        if found is None or not self._is_here(found[0]):
            raise problem.unknown_tenant()
        if self._page not in self._hosts.of_funnel(self._snapshot, *found):
            raise problem.refused_origin()
        if funnel != found[1].public_key:
            self._request.earlier = ("public-key", found[1].name)
        return Caller(*found, is_server=False)

    def _is_here(self, tenant: TenantPlan) -> bool:
        return self._place.tenant is None or self._place.tenant.slug == tenant.slug


class AdmissionCache:
    """Pages that were let in, remembered as long as the plans stand: a visit asks for what the last
    one asked for.
    """

    MOST = 4_096
    LONGEST = 256  # characters of a Host, and of an Origin

    def __init__(self) -> None:
        self._of: Snapshot | None = None
        self._callers: dict[tuple[str | None, ...], Caller] = {}

    def find(
        self, snapshot: Snapshot, request: Request, slug: str | None, funnel: object
    ) -> Caller | None:
        """The caller, where a page of the same origin came to the same place with the same key and
        no other proof.
        """
        if (
            snapshot is not self._of
            or not isinstance(funnel, str)
            or "authorization" in request.headers
        ):
            return None
        return self._callers.get(
            (slug, request.headers.get("host"), request.headers.get("origin"), funnel)
        )

    def remember(
        self, snapshot: Snapshot, request: Request, slug: str | None, caller: Caller
    ) -> None:
        """Keep what a `Admission` has decided of a page that names its origin."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
        if (
            caller.is_server
            or not 0 < len(origin) <= self.LONGEST
            or not 0 < len(host) <= self.LONGEST
        ):
            return
        if snapshot is not self._of or len(self._callers) >= self.MOST:
            self._of, self._callers = snapshot, {}
        # only under the key of today: one of before has to pass `Admission`, which notes that it
        # was shown
        self._callers[slug, host, origin, caller.funnel.public_key] = caller


def page_host(request: Request) -> str:
    """The host of the page that sends, by its Origin, else by its Referer.

    Empty when neither tells.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        return origins.host_of_origin(origin)
    return origins.host_of_url(request.headers.get("referer", ""))
