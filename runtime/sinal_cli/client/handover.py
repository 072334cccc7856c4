"""`sinal tenants handover`: gives a slug's data to the Tenant that took the slug, for the
platform's administrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from cyclopts import App

from sinal_cli.client.commands import run
from sinal_cli.client.options import NO_API, ApiOptions

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output

tenants = App(
    name="tenants", help="Whose the data under a slug are; it needs a platform's admin key."
)


@tenants.command
def handover(slug: str, /, *, api: ApiOptions = NO_API) -> int:
    """Give the data under a slug to the Tenant that took the slug.

    Keys of the Tenant before end. What came in meanwhile has waited, and is worked on within
    seconds.

    Parameters
    ----------
    slug
        The slug, as `sinal doctor` names it.
    """
    return run(api, lambda session, out: _hand_over(session, out, slug))


def _hand_over(session: Session, out: Output, slug: str) -> int:
    done = session.post(f"/api/v1/tenants/{quote(slug, safe='')}/handover", {})
    if out.lines:
        out.line(done)
        return 0
    out.say(
        f"The data under {slug} were those of {done['from_home']} and are those of "
        f"{done['to_home']} now."
    )
    out.say(
        f"Keys of the Tenant before have ended: `sinal keys create NAME --tenant {slug}` makes one."
    )
    return 0
