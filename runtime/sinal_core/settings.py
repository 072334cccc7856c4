"""Settings of a process: groups of variables with the prefix `SINAL_`, read once at start.

A group stands beside what it configures (`settings.py` of a room). A role inherits from the groups
that it reads, in `sinal_cli.roles`: a variable of another role is not read, however wrong it is.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SINAL_"
TITLE = "settings"  # of the validation errors of every group


class Group(BaseSettings):
    """Variables that belong together; also several groups, as one process reads them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        # another role's variables, and the command line's
        extra="ignore",
        title=TITLE,
    )


def _words(value: object) -> object:
    """A list with commas, as people write it into a variable."""
    if isinstance(value, str):
        return tuple(filter(None, map(str.strip, value.split(","))))
    return value


# without NoDecode, pydantic-settings wants the variable to be JSON
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
