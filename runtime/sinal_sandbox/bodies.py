"""Bodies of `POST /{pixel}/events`: JSON, urlencoded or multipart, all becoming one `Submission`.

Meta documents `data` as a list of JSON-encoded strings in a form; JSON bodies with objects work
too. Whatever the encoding, each event keeps the bytes it was sent with, so that tests see exactly
what left the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sinal_sandbox.errors import bad_parameter

MAX_EVENTS = 1_000  # a request


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One request's parameters; `events` are decoded, `raw` the bytes of each as sent."""

    events: list[Any]
    raw: list[bytes]
    access_token: str | None
    test_event_code: str | None
    partner_agent: str | None


class _Parameters(msgspec.Struct, kw_only=True):
    data: msgspec.Raw = msgspec.Raw(b"")
    access_token: str | None = None
    test_event_code: str | None = None
    partner_agent: str | None = None


# JSON nested too deep and invalid UTF-8 are not DecodeErrors of msgspec.
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_decode_parameters = msgspec.json.Decoder(_Parameters).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_event = msgspec.json.Decoder().decode


def decode(body: bytes, *, headers: Mapping[str, str], query: Mapping[str, str]) -> Submission:
    """The submission of a request.

    The body wins over the query, and the Authorization header comes last.

    Raises GraphError (code 100) for a body that can't be read or `data` that isn't 1 to 1,000
    events.
    """
    # Whether Meta takes compressed requests is documented nowhere: a hub that relies on it fails
    # here.
    encoding = headers.get("content-encoding", "identity")
    if encoding not in ("", "identity"):
        raise bad_parameter(
            f"Content-Encoding {encoding!r} is not accepted: send the body uncompressed"
        )
    parameters = _parameters(body, headers.get("content-type", ""))
    raw = _events(bytes(parameters.data) or query.get("data", "").encode())
    try:
        events = [_decode_event(item) for item in raw]
    except _UNREADABLE as error:
        raise bad_parameter(f"Param data holds invalid JSON: {error}", field="data") from error
    submission = Submission(
        events=events,
        raw=raw,
        access_token=parameters.access_token or query.get("access_token") or bearer(headers),
        test_event_code=parameters.test_event_code or query.get("test_event_code"),
        partner_agent=parameters.partner_agent or query.get("partner_agent"),
    )
    _check_partner_agent(submission.partner_agent)
    return submission


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _parameters(body: bytes, content_type: str) -> _Parameters:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return _form(_multipart(body, content_type))
    if media_type == "application/x-www-form-urlencoded" or not body:
        return _form(dict(parse_qsl(_text(body), keep_blank_values=True)))
    try:
        return _decode_parameters(body)
    except _UNREADABLE as error:
        raise bad_parameter(f"Invalid JSON in the body: {error}") from error


def _form(fields: Mapping[str, str]) -> _Parameters:
    return _Parameters(
        data=msgspec.Raw(fields.get("data", "").encode()),
        access_token=fields.get("access_token"),
        test_event_code=fields.get("test_event_code"),
        partner_agent=fields.get("partner_agent"),
    )


def _multipart(body: bytes, content_type: str) -> dict[str, str]:
    message = message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=HTTP
    )
    if not message.is_multipart():
        raise bad_parameter("The multipart body has no parts: check its boundary")
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = _text(content)
    return fields


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise bad_parameter("The body is not valid UTF-8") from error


def _events(data: bytes) -> list[bytes]:
    if not data or data == b"null":
        raise bad_parameter("The parameter data is required", field="data")
    try:
        items = _decode_list(_unquoted(data))
        raw = [_unquoted(bytes(item)) for item in items]
    except _UNREADABLE as error:
        raise bad_parameter(
            f"Param data must be an array of events: {error}", field="data"
        ) from error
    if not 1 <= len(raw) <= MAX_EVENTS:
        raise bad_parameter(
            f"Param data must hold 1 to {MAX_EVENTS} events, not {len(raw)}", field="data"
        )
    return raw


def _unquoted(value: bytes) -> bytes:
    """A JSON string becomes the JSON inside it; anything else stays."""
    return _decode_text(value).encode() if value[:1] == b'"' else value


def _check_partner_agent(agent: str | None) -> None:
    if agent is None:
        return
    if len(agent) >= 23 or sum(c.isalpha() for c in agent) < 2:
        raise bad_parameter(
            "Param partner_agent must be shorter than 23 characters and hold 2 letters",
            field="partner_agent",
        )
