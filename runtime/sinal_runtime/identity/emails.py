"""E-mail addresses: trimmed, lower case, with the syntax of an address; nothing is looked up.

A placeholder such as `teste@teste.com` is an address too: whether to believe it is not decided here.
"""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

_SCHEME = re.compile(r"^mailto:", re.IGNORECASE)
_BRACKETS = re.compile(r"<([^<>]*)>$")
_EDGES = " \t<>()[]{}\"'`,;:"


def email(text: str) -> str | None:
    """Meta's `em` of tidy text, or None for what is no address; a non-ASCII address stays UTF-8."""
    bracketed = _BRACKETS.search(text)  # "Maria Silva <maria@example.com>"
    address = bracketed.group(1) if bracketed else _SCHEME.sub("", text.strip(_EDGES)).partition("?")[0]
    try:
        found = validate_email(
            address.strip(_EDGES).rstrip(".").lower(),
            check_deliverability=False,
            globally_deliverable=False,  # whether mail arrives is not our question; the dot is asked for below
            test_environment=True,
        )
    except EmailNotValidError:
        return None
    return found.normalized.lower() if "." in found.domain else None
