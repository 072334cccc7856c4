"""Settings of the operations API."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sinal_core.settings import Group


class AccessSettings(Group):
    """Access to the operations API."""

    admin_key: SecretStr | None = Field(
        None, description="Key of the operations API with every right."
    )
    api_without_row_security: bool = Field(
        False,
        description="Let the operations API start where PostgreSQL can't keep a tenant's key to "
        "that tenant's rows: "
        "the role `sinal_api` is missing, or the login may not take it.",
    )
