"""Settings of connections to PostgreSQL."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sinal_core.settings import Group


class DatabaseSettings(Group):
    """PostgreSQL."""

    database_url: SecretStr = Field(
        SecretStr("postgresql://127.0.0.1/sinal"),
        description="PostgreSQL of the worker role. TLS is libpq's: `sslmode=verify-full` and "
        "`sslrootcert=FILE` in "
        "the URL, or PGSSLMODE and PGSSLROOTCERT for all three URLs.",
    )


class LosableSettings(DatabaseSettings):
    """PostgreSQL without a disk of its own."""

    database_may_be_lost: bool = Field(
        False,
        description="PostgreSQL may come back without its data, as the evaluation's does: "
        "housekeeping makes tables "
        "and logins again, and roles begin anew over them. Wants `maintenance_database_url`.",
    )


class OwnerSettings(DatabaseSettings):
    """PostgreSQL as the tables' owner."""

    maintenance_database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL as the tables' owner, for housekeeping's partitions; default: "
        "`database_url`.",
    )

    @property
    def owner_url(self) -> SecretStr:
        """The owner's URL, which is the worker's where there is one login."""
        return self.maintenance_database_url or self.database_url
