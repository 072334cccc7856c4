"""Graph API errors: one exception that knows Meta's error body, and constructors of those that are
not about an event.

`type` is `OAuthException` for every class of error, as on the real API: it says nothing about the
token. The texts are ours; a client must decide on `code`, `error_subcode` and `is_transient` only.
"""

from __future__ import annotations

import secrets
from typing import Any


def trace_id() -> str:
    """A fresh `fbtrace_id`."""
    return "A" + secrets.token_urlsafe(16)


class GraphError(Exception):
    """A refusal with Meta's error shape; `status` is the HTTP status it leaves with."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        subcode: int | None = None,
        status: int = 400,
        transient: bool = False,
        title: str | None = None,
        user_message: str | None = None,
        blame: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.subcode = subcode
        self.status = status
        self.transient = transient
        self.title = title
        self.user_message = user_message
        self.blame = blame

    def body(self) -> dict[str, Any]:
        """The JSON answer, with a trace id of its own."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": "OAuthException",
            "code": self.code,
            "is_transient": self.transient,
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.title is not None:
            error["error_user_title"] = self.title
        if self.user_message is not None:
            error["error_user_msg"] = self.user_message
        if self.blame:
            error["error_data"] = {"blame_field_specs": [list(self.blame)]}
        error["fbtrace_id"] = trace_id()
        return {"error": error}


def bad_parameter(message: str, *, field: str | None = None) -> GraphError:
    """Code 100 for a parameter of the request itself."""
    return GraphError(f"(#100) {message}", code=100, blame=(field,) if field else ())


def unknown_path(path: str) -> GraphError:
    """Code 2500: nothing lives at this path."""
    return GraphError(f"Unknown path components: {path}", code=2500)


def missing_object(object_id: str, method: str) -> GraphError:
    """Code 100/33: no such object, no permission for it, or not with this verb."""
    return GraphError(
        f"Unsupported {method.lower()} request. Object with ID {object_id!r} does not exist, "
        "cannot be loaded due to "
        "missing permissions, or does not support this operation.",
        code=100,
        subcode=33,
    )


def deprecated_version(version: str | None, oldest: str) -> GraphError:
    """Code 2635, for an expired version and for a call without one (invalid in the Marketing
    API).
    """
    called = f"version {version}" if version else "the Ads API without a version"
    return GraphError(
        f"(#2635) You are calling a deprecated version of the Ads API ({called}). Use {oldest} or "
        "newer.",
        code=2635,
    )


def token_missing() -> GraphError:
    """Code 104: no token in the query, the form, the JSON body or the Authorization header."""
    return GraphError("An access token is required to request this resource.", code=104, status=401)


def token_invalid(subcode: int | None = None) -> GraphError:
    """Code 190; subcode 460 for a revoked token, none for one that was never valid."""
    reason = "The session has been invalidated." if subcode else "Cannot parse access token."
    return GraphError(
        f"Error validating access token: {reason}", code=190, subcode=subcode, status=401
    )
