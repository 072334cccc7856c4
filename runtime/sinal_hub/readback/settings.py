"""Settings of calls to gateways' APIs."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class ReadBackSettings(Group):
    """Read-back."""

    readback_urls: dict[str, str] = Field(
        {},
        description="Base URLs of gateways' APIs in place of their own, by gateway: for emulators "
        "and proxies.",
    )
    readback_timeout_s: float = Field(
        3.0, gt=0, le=20, description="One request to a gateway's API."
    )
