"""The extension API over TLS, as an aiohttp application: who asks, whether they may, and the
answer.

aiohttp, because it shows the certificate of the client. Health needs no name; everything else does.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from sinal_core.nats import BusError
from sinal_core.telemetry import metrics
from sinal_core.telemetry.places import where
from sinal_hub.status.depths import DepthSource
from sinal_metrics_adapter.access import Authorizer
from sinal_metrics_adapter.discovery import DOCUMENTS
from sinal_metrics_adapter.errors import Failure, not_found, not_now
from sinal_metrics_adapter.ports import GROUP, VERSION, Wish
from sinal_metrics_adapter.values import METRICS, understood

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ready = Callable[[], Awaitable[bool]]
OPEN = frozenset({"/healthz", "/livez", "/readyz"})
VALUES = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/{{metric}}"


class MetricsApi:
    """Routes of the extension API."""

    def __init__(self, access: Authorizer, source: DepthSource, *, ready: Ready) -> None:
        self._access, self._source, self._ready = access, source, ready

    def build(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 16)
        for path in OPEN:
            app.router.add_get(path, self._health)
        for path in DOCUMENTS:
            app.router.add_get(path, self._document)
        app.router.add_get(VALUES, self._values)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every failure is a `Status`, and nothing but health is answered to nobody."""
        try:
            if request.path not in OPEN:
                user = await self._access.user(request.headers, _certificate_name(request))
                await self._access.allow(user, _wish(request))
            answer = await handler(request)
        except Failure as failure:
            answer = _json(failure.document(), failure.status)
        except web.HTTPException as error:
            answer = _json(_of_http(error, request.path).document(), HTTPStatus(error.status))
        except Exception as error:
            log.error("adapter.request_failed", error=type(error).__name__, at=where(error))
            broken = Failure(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "InternalError",
                "the adapter failed; its log says why",
            )
            answer = _json(broken.document(), broken.status)
        metric = request.match_info.get("metric")
        if metric is not None:
            metrics.ADAPTER_REQUESTS.labels(
                metric if metric in METRICS else "unknown", str(answer.status)
            ).inc()
        return answer

    async def _health(self, request: web.Request) -> web.StreamResponse:
        well = request.path != "/readyz" or await self._ready()
        return web.Response(text="ok" if well else "not ready", status=200 if well else 503)

    async def _document(self, request: web.Request) -> web.StreamResponse:
        return _json(DOCUMENTS[request.path])

    async def _values(self, request: web.Request) -> web.StreamResponse:
        question = understood(request.match_info["metric"], request.query.get("labelSelector", ""))
        try:
            reading = await self._source.reading()
        except BusError as error:
            log.warning("adapter.depths_unknown", error=type(error).__name__)
            raise not_now("the depths are not known now: the broker does not answer") from error
        return _json(question.answer(reading))


def _certificate_name(request: web.Request) -> str | None:
    """Common name of the client's certificate; TLS has checked who signed it."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    shown = tls.getpeercert() if isinstance(tls, ssl.SSLObject | ssl.SSLSocket) else None
    subject: Any = (shown or {}).get("subject", ())
    return next((value for part in subject for name, value in part if name == "commonName"), None)


def _wish(request: web.Request) -> Wish:
    found = request.match_info
    return Wish(request.path, found.get("namespace", ""), found.get("metric", ""))


def _json(document: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.json_response(document, status=int(status))


def _of_http(error: web.HTTPException, path: str) -> Failure:
    if error.status == HTTPStatus.NOT_FOUND:
        return not_found(f"the adapter has nothing at {path}")
    reason = (
        "MethodNotAllowed" if error.status == HTTPStatus.METHOD_NOT_ALLOWED else str(error.reason)
    )
    return Failure(HTTPStatus(error.status), reason, f"{path}: {error.reason}")
