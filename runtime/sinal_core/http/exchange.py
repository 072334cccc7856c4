"""One request and its answer on raw ASGI: what handlers read and what they return.

The hot path pays for a framework's request object, so this one decodes headers once and everything
else when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from sinal_core.http import asgi

MAX_QUERY_FIELDS = 200
MAX_USER_AGENT = 1_024

Header = tuple[bytes, bytes]
EarlierKey = Literal["webhook-token", "server-key", "public-key"]
CLOSE: Header = (b"connection", b"close")

# What the edge's own protocol adds to a scope:
WHOLE_BODY = "sinal.body"  # the body, where all of it had come before the application was called
OneWrite = Callable[[int, list[Header], bytes], bool]
Reply = Callable[[int, list[Header], bytes], None]
ONE_WRITE = "sinal.answer"  # a function of status, headers and body that sends them as one


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes = b""
    media_type: bytes = b"application/json"
    headers: tuple[Header, ...] = ()


class Request:
    """A request in progress; header names are lower case."""

    refusal: object | None = None  # of a webhook that is refused: why, and whose it seems to be

    def __init__(self, scope: asgi.Scope, receive: asgi.Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive = receive
        self.whole_body: bytes | None = scope.get(WHOLE_BODY)
        # Taken out, because it holds what holds the scope: a ring that reference counts never free.
        self.one_write: OneWrite | None = scope.pop(ONE_WRITE, None)
        self.headers = _headers(scope["headers"])
        self._query_string: bytes = scope.get("query_string", b"")
        client = scope.get("client")
        self.peer: str | None = client[0] if client else None
        # For metrics and logs, filled in while the request is being understood.
        self.tenant = ""
        self.source = "none"
        self.integration = ""
        # What was shown of a mint key that was replaced: which key, and of which object.
        self.earlier: tuple[EarlierKey, str] | None = None
        # Whether the script is another one in other countries.
        self.differs_by_country = False
        # Whether the page behind Origin was let in, so that CORS need not ask again.
        self.page_admitted = False

    @classmethod
    def whole(
        cls,
        method: str,
        path: str,
        *,
        headers: list[Header],
        body: bytes,
        peer: tuple[str, int] | None,
    ) -> Request:
        """A request that has come as a whole, without a query."""
        scope = {
            "method": method,
            "path": path,
            "headers": headers,
            "client": peer,
            WHOLE_BODY: body,
        }
        return cls(scope, _nothing_more)

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters, the first of a repeated name; empty when there are absurdly many."""
        try:
            pairs = parse_qsl(
                self._query_string.decode("latin-1"),
                keep_blank_values=True,
                max_num_fields=MAX_QUERY_FIELDS,
            )
        except ValueError:
            return {}
        return dict(reversed(pairs))

    @cached_property
    def appended_query(self) -> dict[str, str]:
        """Query parameters as a sender appends them to a URL that may have some: the last of a
        repeated name counts.

        A blank one gives way to an earlier one. A second question mark separates as `&` does, which
        may be written `&amp;`; blanks around names and values are not of them. Empty when there are
        absurdly many.
        """
        text = self._query_string.decode("latin-1").replace("?", "&").replace("&amp;", "&")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            return {}
        found: dict[str, str] = {}
        for name, value in ((name.strip(), value.strip()) for name, value in pairs):
            if value or name not in found:
                found[name] = value
        return found

    @property
    def host(self) -> str:
        """The Host header as a bare lower-case name, without port and trailing dot."""
        host = self.headers.get("host", "").strip().lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]"
        return host.partition(":")[0].rstrip(".")

    @property
    def user_agent(self) -> str | None:
        """The sender's user agent, bounded and without control characters."""
        return clean_user_agent(self.headers.get("user-agent"))

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies as sent; values are kept verbatim."""
        header = self.headers.get("cookie")
        if header is None:
            return {}
        pairs = (part.partition("=") for part in header.split(";")[:MAX_QUERY_FIELDS])
        return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def clean_user_agent(text: str | None) -> str | None:
    """A user agent as it may be stored: printable, at most MAX_USER_AGENT characters.

    None when nothing is left.
    """
    if not text:
        return None
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text[:MAX_USER_AGENT].strip() or None


def json_answer(status: int, content: object, *, headers: Iterable[Header] = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, msgspec.json.encode(content), headers=tuple(headers))


async def send(
    answer: Answer, request: Request, send_message: asgi.Send, *, extra: Iterable[Header] = ()
) -> None:
    """Write the answer; the server drops the body of a HEAD."""
    headers = headers_of(answer, extra)
    if request.one_write is not None and request.one_write(answer.status, headers, answer.body):
        return
    await send_message({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send_message({"type": "http.response.body", "body": answer.body})


def headers_of(answer: Answer, extra: Iterable[Header] = ()) -> list[Header]:
    """All headers of an answer."""
    # RFC 9110, 8.6: not in a 204, and in a 304 only the length that the 200 would have had.
    headers = [] if answer.status in (204, 304) else [(b"content-length", b"%d" % len(answer.body))]
    if answer.body:
        headers.append((b"content-type", answer.media_type))
    headers += answer.headers
    headers += extra
    return headers


async def _nothing_more() -> dict[str, object]:
    return {"type": "http.disconnect"}


@lru_cache(maxsize=1_024)  # browsers and gateways send the same few
def _header_name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _headers(raw: Iterable[Header]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = _header_name(name), value.decode("latin-1")
        if key in found:
            # RFC 9110 (5.2) joins repeated fields with commas; cookies that HTTP/2 has split are
            # joined with semicolons (RFC 9113, 8.2.3).
            text = found[key] + ("; " if key == "cookie" else ", ") + text
        found[key] = text
    return found
