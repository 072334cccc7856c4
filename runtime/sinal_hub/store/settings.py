"""Settings of the logins that the migrations make."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sinal_core.postgres.settings import DatabaseSettings


class ApiLoginSettings(DatabaseSettings):
    """The operations API's own login."""

    api_database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL of what the operations API does for a tenant's key, as the login "
        "`sinal_api`; all else "
        "it does by `database_url`. Default: that one, stepping down to `sinal_api`.",
    )
    api_database_password: SecretStr | None = Field(
        None,
        description="The same by the password alone: `sinal_api` at the server and database of "
        "`database_url`.",
    )
