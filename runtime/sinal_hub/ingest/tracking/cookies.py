"""Cookies that the edge sets for a page, because Safari keeps a script's for seven days and a
first-party host's whole.

Only where the request came to the tenant's own host under the domain of the page's site, only for a
visitor who agrees, and only what the script would set as well: Meta's `_fbc` and `_fbp` as the
event has them, and the script's own `_sinal` as the browser sent it. A no ends them.
`docs/users/tracker.md` is the contract with the page script.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sinal_core.http.exchange import Header, Request
from sinal_hub import identity
from sinal_hub.ingest.tracking import admission
from sinal_hub.intake.ports import Caller
from sinal_hub.model.events import Event

MAX_AGE_S = 90 * 86_400  # of the script's, and of Meta's
NAMES = ("_fbc", "_fbp", "_sinal")
_OURS = re.compile(r"[A-Za-z0-9._~%:|*!=&-]{1,1024}")

# Names under which strangers have their sites; a browser takes no cookie of theirs, and none is
# offered.
_SECOND_LEVELS = (
    "com net org gov edu mil co ac or ne go adv art blog eco emp ind inf med mus pro psi"
)
_SECOND_LEVEL = frozenset(_SECOND_LEVELS.split())
_OF_STRANGERS = frozenset(
    {
        "amazonaws.com",
        "azurewebsites.net",
        "blogspot.com",
        "cloudfront.net",
        "firebaseapp.com",
        "fly.dev",
        "framer.app",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "lovable.app",
        "myshopify.com",
        "netlify.app",
        "notion.site",
        "onrender.com",
        "pages.dev",
        "vercel.app",
        "web.app",
        "webflow.io",
        "wixsite.com",
        "wordpress.com",
        "workers.dev",
    }
)


def headers(request: Request, caller: Caller, event: Event) -> tuple[Header, ...]:
    """Set-Cookie headers of an answer to a page; `event` is the last of the request."""
    hosts = caller.tenant.hosts
    if caller.is_server or event.crawler or not hosts or (host := request.host) not in hosts:
        return ()
    domain = site(host, admission.page_host(request))
    if domain is None:
        return ()
    came = request.cookies
    if event.consent_ads is False:
        return tuple(_header(name, "", domain, 0) for name in NAMES if name in came)
    if not _agrees(caller, event):
        return ()
    ours = came.get("_sinal", "")
    values = {
        "_fbc": event.fbc if event.fbc and identity.is_fbc(event.fbc) else None,
        "_fbp": event.fbp if event.fbp and identity.is_fbp(event.fbp) else None,
        "_sinal": ours if _OURS.fullmatch(ours) else None,
    }
    return tuple(_header(name, value, domain, MAX_AGE_S) for name, value in values.items() if value)


def _agrees(caller: Caller, event: Event) -> bool:
    """Whether cookies may be set: by the visitor's yes, or by a funnel that sets them before an
    answer.
    """
    consent = caller.funnel.consent
    if event.consent_ads is not None:
        return event.consent_ads
    return (
        consent.default == "Granted"
        and consent.cookies_before_consent
        and not event.consent_required
    )


@lru_cache(maxsize=4_096)  # few hosts and pages make all visits
def site(host: str, page: str) -> str | None:
    """The domain that both hosts share and one owner has: `loja.com.br` of `t.loja.com.br` and
    `www.loja.com.br`.
    """
    shared: list[str] = []
    for ours, theirs in zip(reversed(host.split(".")), reversed(page.split(".")), strict=False):
        if ours != theirs:
            break
        shared.insert(0, ours)
    domain = ".".join(shared)
    # digits at the end: an IPv4 address, whose parts are not domains of one another
    if len(shared) < 2 or domain in _OF_STRANGERS or shared[-1].isdigit():
        return None
    if len(shared) == 2 and len(shared[1]) == 2 and shared[0] in _SECOND_LEVEL:
        return None
    return domain


def _header(name: str, value: str, domain: str, max_age_s: int) -> Header:
    cookie = f"{name}={value}; Max-Age={max_age_s}; Domain={domain}; Path=/; Secure; SameSite=Lax"
    return b"set-cookie", cookie.encode("latin-1")
