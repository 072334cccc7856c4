"""E-mail addresses: trimmed, lower case, with the syntax of an address; nothing is looked up.

A placeholder such as `teste@teste.com` has that syntax too, and is nobody's.
"""

from __future__ import annotations

import re

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from sinal_hub.model import placeholders

_SCHEME = re.compile(r"^mailto:", re.IGNORECASE)
_BRACKETS = re.compile(r"<([^<>]*)>$")
_EDGES = " \t<>()[]{}\"'`,;:"
# What nearly everybody has. Whatever is written so is an address to the validator too, unless its
# top domain is one that it refuses; it goes through every character, which took a fifth of the time
# of a webhook.
_COMMON = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*\.([a-z]{2,24})", re.ASCII
)
_COMMON_LENGTH = 64  # characters; no limit of a part is reached in so many
_REFUSED = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


def email(text: str) -> str | None:
    """Meta's `em` of tidy text, or None for what is not an address.

    A non-ASCII address stays UTF-8.
    """
    address = text.lower()
    if (
        len(address) <= _COMMON_LENGTH
        and (found := _COMMON.fullmatch(address))
        and found[1] not in _REFUSED
    ):
        return None if placeholders.is_no_mailbox(address) else address
    return _validated(text)


def _validated(text: str) -> str | None:
    bracketed = _BRACKETS.search(text)  # "Maria Silva <maria@example.com>"
    address = (
        bracketed.group(1) if bracketed else _SCHEME.sub("", text.strip(_EDGES)).partition("?")[0]
    )
    try:
        found = validate_email(
            address.strip(_EDGES).rstrip(".").lower(),
            check_deliverability=False,
            # whether mail arrives is not our question; the dot is asked for below
            globally_deliverable=False,
            test_environment=True,
        )
    except EmailNotValidError:
        return None
    address = found.normalized.lower()
    return None if "." not in found.domain or placeholders.is_no_mailbox(address) else address
