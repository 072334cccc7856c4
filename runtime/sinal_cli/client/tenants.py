"""Which tenants there are, for commands that need one and for words that name none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sinal_cli.client.session import Session


def known(session: Session) -> list[str]:
    """Slugs of the tenants that the key may see, by their funnels."""
    return sorted({funnel["tenant"] for funnel in session.get("/api/v1/funnels")["funnels"]})


def chosen(session: Session, tenant: str | None) -> str:
    """The tenant that was named, else the only one; raises Refused with the choices."""
    # late: commands import this, and httpx with it takes its time
    from sinal_cli.client.session import ApiRefused

    if tenant is not None:
        return tenant
    there = known(session)
    if len(there) == 1:
        return there[0]
    raise ApiRefused(400, f"which tenant? Say --tenant; {_choices(there)}")


def unknown(session: Session, tenant: str | None) -> str | None:
    """What to say where a tenant was named that there is not."""
    if tenant is None or tenant in (there := known(session)):
        return None
    return f"no tenant {tenant!r}; {_choices(there)}"


def _choices(there: list[str]) -> str:
    return f"there are: {', '.join(there)}" if there else "there is none yet"
