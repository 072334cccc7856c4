"""Errors of the adapter: what a caller is answered, and what the API server did not do for us."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class Failure(Exception):
    """A request that ends with an error, told as Kubernetes tells it: a `Status`."""

    def __init__(self, status: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason

    def document(self) -> dict[str, Any]:
        """The `Status` object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": int(self.status),
        }


def bad_request(message: str) -> Failure:
    """The caller has to ask differently."""
    return Failure(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def unauthorised() -> Failure:
    """Nobody we know."""
    return Failure(
        HTTPStatus.UNAUTHORIZED,
        "Unauthorized",
        "who asks is not known: neither the API server nor a token",
    )


def forbidden(message: str) -> Failure:
    """Somebody who may not."""
    return Failure(HTTPStatus.FORBIDDEN, "Forbidden", message)


def not_found(message: str) -> Failure:
    """There is nothing of that name."""
    return Failure(HTTPStatus.NOT_FOUND, "NotFound", message)


def not_now(message: str) -> Failure:
    """It is not known now; an autoscaler then leaves everything as it is."""
    return Failure(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", message)


class ClusterUnavailable(Exception):
    """The API server did not answer, or not as expected; the message says to what."""


class ClusterRefused(ClusterUnavailable):
    """The API server does not let us; the message says what is missing."""
