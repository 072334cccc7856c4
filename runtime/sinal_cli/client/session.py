"""Calls of the operations API, with its problems as errors that a person can act on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from sinal_cli.client.target import Target

RETRY_S = 2.0


class ApiRefused(Exception):
    """The API refuses; the message is its own."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether it may answer otherwise in a while."""
        return self.status in (429, 503)


class ApiUnreachable(Exception):
    """Nobody answers there, or not as the operations API does.

    `arrived` when the request may have been read.
    """

    def __init__(self, message: str, *, arrived: bool) -> None:
        super().__init__(message)
        self.arrived = arrived

    @property
    def passing(self) -> bool:
        """Whether it may be otherwise in a while; where nothing arrives, the address is wrong."""
        return self.arrived


class Session:
    """One API."""

    def __init__(self, target: Target, *, transport: httpx.BaseTransport | None = None) -> None:
        self.target = target
        self._http = httpx.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.key}", "User-Agent": "sinal-cli"},
            timeout=httpx.Timeout(60, connect=5),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One object or page; raises Refused, Unreachable."""
        return self._call(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(
        self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """One change, under an Idempotency-Key where it is given; raises Refused, Unreachable."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._call("POST", path, json=body, headers=headers)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Set something; raises Refused and Unreachable."""
        return self._call("PUT", path, json=body)

    def delete(self, path: str) -> dict[str, Any]:
        """Ends one object; raises Refused, Unreachable."""
        return self._call("DELETE", path)

    def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body whatever they are; raises Unreachable."""
        try:
            answer = self._http.get(path)
            return answer.status_code, answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._unreachable(error) from error

    def pages(self, path: str, name: str, *, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """Items of a list, at most so many, page by page."""
        cursor: str | None = None
        while most > 0:
            page = self.get(path, **query, cursor=cursor, limit=min(most, 200))
            yield from page[name]
            most -= len(page[name])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def tail(
        self, opened: Callable[[], None] = lambda: None, **query: Any
    ) -> Iterator[dict[str, Any]]:
        """Events as they come, for ever: a broken stream goes on behind the last id, once somebody
        answers again.

        `opened` is called once, when the stream stands: what is read then and what comes leave no
        gap.
        """
        last: str | None = None
        wanted = {name: value for name, value in query.items() if value is not None}
        first = True
        while True:
            try:
                for cursor, event in self._stream(wanted, last, opened if first else lambda: None):
                    last = cursor
                    yield event
            # At first the address may be wrong. Later the API is restarting, and its client waits.
            except httpx.ConnectError as error:
                if first:
                    raise self._unreachable(error) from error
            except httpx.HTTPError:
                pass  # a stream that broke goes on
            except (ApiRefused, ApiUnreachable) as error:
                if first or not error.passing:
                    raise
            first = False
            time.sleep(RETRY_S)

    def _stream(
        self, query: dict[str, Any], last: str | None, opened: Callable[[], None]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        with self._http.stream(
            "GET",
            "/api/v1/events/stream",
            params=query,
            headers=headers,
            # The API gives a sign of life every ten seconds: a stream that is silent for thirty is
            # dead.
            timeout=httpx.Timeout(30, connect=5),
        ) as answer:
            if answer.status_code != 200:
                answer.read()
                raise _refusal(answer)
            opened()
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if fields.get("event") == "event":
                    yield fields["id"], msgspec.json.decode(fields["data"])
                fields = {}

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise self._unreachable(error) from error
        return found

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        return ApiUnreachable(
            f"{self.target.url}: no operations API answers there ({type(error).__name__}); is it "
            "running? "
            "--api or SINAL_API_URL says where it is",
            arrived=not isinstance(
                error, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol
            ),
        )


def _refusal(answer: httpx.Response) -> Exception:
    try:
        problem = answer.json()
        detail, errors = str(problem["detail"]), problem.get("errors", [])
    except (ValueError, KeyError, TypeError):
        words = f"{answer.url.host}: answered {answer.status_code}, not as an operations API does"
        return ApiUnreachable(words, arrived=answer.status_code >= 500)
    more = "".join(f"\n  {one['field']}: {one['message']}" for one in errors[1:])
    return ApiRefused(answer.status_code, detail + more)
