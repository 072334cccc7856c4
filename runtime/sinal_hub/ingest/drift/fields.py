"""The names of a delivery's fields, read without its values."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec

MAX_FIELDS = 2_000  # of a form that is looked at
LIKE_JSON = (b"{", b"[")
# Objects whose names are data: the shop, the buyer or an account chose them.
_FREE = frozenset({"metadata", "previous_attributes", "custom_fields", "marketplaces"})


def field_names(raw: bytes) -> set[str]:
    """Names of the two outer levels of a JSON object or of a form.

    Empty for anything else, as for a form in parts.
    """
    body = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not body.startswith(LIKE_JSON):
        return set() if body.startswith(b"--") else _form_names(body)
    try:
        return _json_names(body)
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
    ):  # what an adapter of its own could yet read
        return set()


def _json_names(body: bytes) -> set[str]:
    outer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    names = set(outer)
    for name, value in outer.items():
        if name not in _FREE and bytes(value).startswith(b"{"):
            names |= {
                f"{name}.{inner}"
                for inner in msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            }
    return names


def _form_names(raw: bytes) -> set[str]:
    try:
        return {
            name
            for name, _ in parse_qsl(
                raw.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS
            )
        }
    except ValueError:
        return set()
