"""E-mail addresses: trimmed, lower case, with the syntax of an address; nothing is looked up.

A placeholder such as `teste@teste.com` has that syntax too, and is nobody's.
"""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

from sinal_runtime import placeholders

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
    address = found.normalized.lower()
    return None if "." not in found.domain or placeholders.is_no_mailbox(address) else address
