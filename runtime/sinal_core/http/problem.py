"""Errors of every server as RFC 9457 problem documents.

A `Problem` is raised wherever a request cannot go on and answered in one place. Its words name
fields and ways out, never a value the sender gave, so that it can be logged and shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from sinal_core.http.exchange import CLOSE

MEDIA_TYPE = b"application/problem+json"
KIND = MEDIA_TYPE.decode()
MAX_ERRORS = 20  # of one document; a batch can have thousands
SUSPENDED = "suspended"
SUSPENDED_S = 3_600  # a gateway is asked to come again after that

_CREDENTIALS = (
    "Nothing here answers to these credentials: check the key, the token, the signature's secret "
    "and the host."
)


class FieldError(NamedTuple):
    """What is wrong with one field; `field` is a path such as `events[3].occurred_at`."""

    field: str
    message: str


def document(
    status: int, detail: str, *, errors: Sequence[FieldError] = (), word: str = ""
) -> dict[str, object]:
    """The problem document; `word` is its `error`, for programs that tell refusals apart."""
    found: dict[str, object] = {
        # RFC 9457 (4.2.1): with this type the title is the phrase of the status, and `detail` says
        # the rest
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if word:
        found["error"] = word
    if errors:
        found["errors"] = [error._asdict() for error in errors]
    return found


class Problem(Exception):
    """A request that ends with an error answer.

    `reason` is a word for whoever counts refusals, and is not answered.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
        reason: str = "",
        word: str = "",
    ) -> None:
        """`word` is answered as the document's `error`: for programs that tell refusals apart."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = tuple(headers)
        self.reason = reason
        self.word = word

    def body(self) -> bytes:
        """The problem document as JSON."""
        errors = self.errors[:MAX_ERRORS]
        return msgspec.json.encode(
            document(self.status, self.detail, errors=errors, word=self.word)
        )


def invalid(errors: Sequence[FieldError]) -> Problem:
    """400 naming every wrong field, the first one in the detail too."""
    first = errors[0]
    return Problem(400, f"{first.field}: {first.message}", errors=errors)


def unknown_tenant() -> Problem:
    """404 for a host, slug or public key of nobody.

    The words are those of `unauthorized`, to tell nothing apart.
    """
    return Problem(404, _CREDENTIALS)


def unauthorized(*, reason: str = "") -> Problem:
    """401 for an unknown token or key and for a signature that does not verify, without saying
    which.
    """
    return Problem(401, _CREDENTIALS, headers=[(b"www-authenticate", b"Bearer")], reason=reason)


def refused_origin() -> Problem:
    """403 for a page that is none of the funnel's landing hosts."""
    return Problem(
        403,
        "The page's origin is none of the funnel's landing hosts: add it to landingHosts, "
        "or send from a server with the funnel's server key.",
    )


def suspended() -> Problem:
    """403 for a known page or server: sending the same again is refused until somebody resumes
    it.
    """
    detail = (
        "This funnel or its tenant is suspended: nothing is taken until its manifest says "
        "`suspended: false`."
    )
    return Problem(403, detail, word=SUSPENDED)


def suspended_gateway() -> Problem:
    """503 for a believed delivery: gateways keep what is answered so, and deliver it again."""
    retry_after = (b"retry-after", str(SUSPENDED_S).encode())
    detail = (
        "The integration, its funnel or its tenant is suspended. Deliver again later: "
        "nothing "
        "was taken."
    )
    return Problem(503, detail, headers=[retry_after], reason="suspended", word=SUSPENDED)


def too_large(limit: int) -> Problem:
    """413; the connection ends because the rest of the body is not read."""
    return Problem(413, f"The body is larger than {limit} bytes.", headers=[CLOSE])


def too_slow(deadline_s: float) -> Problem:
    """408 for a body that is not there in time; the connection ends with it."""
    return Problem(408, f"The body did not arrive within {deadline_s:g} s.", headers=[CLOSE])


def retry(status: int, detail: str, after_s: float, *, reason: str = "") -> Problem:
    """429 or 503 with Retry-After in whole seconds, at least one."""
    # rounded up: who comes a moment too early is refused again, and counts as one more
    seconds = max(1, -int(-after_s // 1))
    return Problem(status, detail, headers=[(b"retry-after", str(seconds).encode())], reason=reason)
