"""The edge as one ASGI application: route, handle, answer, observe.

Raw ASGI without a middleware stack, because this is the path that every visit takes. Whatever
happens inside, a request gets exactly one answer, and a fault of ours is a 500 problem that says
nothing of the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from sinal_core.aio.clock import WallClock
from sinal_core.http import asgi, client_ip
from sinal_core.http.body import SenderGone
from sinal_core.http.exchange import Answer, Header, Reply, Request, headers_of, send
from sinal_core.http.problem import MEDIA_TYPE, Problem
from sinal_core.telemetry.tracing import HEADER, Tracer
from sinal_hub import gateways as gateway_registry
from sinal_hub.gateways import Gateway
from sinal_hub.ingest.drift.watch import Drift
from sinal_hub.ingest.http import routes
from sinal_hub.ingest.http.health import Health
from sinal_hub.ingest.http.observe import Observer
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.tracking.accept import Acceptance
from sinal_hub.ingest.tracking.cors import Cors
from sinal_hub.ingest.tracking.door import Ending, Tracking
from sinal_hub.ingest.tracking.origins import LandingHosts
from sinal_hub.ingest.tracking.pixel import Pixel
from sinal_hub.ingest.tracking.script import Script
from sinal_hub.ingest.webhooks.door import Webhooks
from sinal_hub.intake import ports
from sinal_hub.intake.counters import IntegrationCounters
from sinal_hub.intake.publisher import EventPublisher
from sinal_hub.intake.tracking_schema import KINDS

LOOK = (
    b"Webhooks are posted here. Whether the address is right, the answer to the first one says.\n"
)

Endpoint = Callable[[Request, routes.Route], Awaitable[Answer]]


class _Visit(msgspec.Struct, frozen=True, gc=False):
    """A request on the way to its answer."""

    request: Request
    route: routes.Route | None
    started: float  # of the performance counter

    @property
    def template(self) -> str:
        """The path as logs may show it."""
        return self.route.template if self.route is not None else "(none)"


class Edge:
    """The ASGI application; `health.drain()` takes it out of the load balancer."""

    def __init__(
        self,
        *,
        tracking: Tracking,
        webhooks: Webhooks,
        script: Script,
        health: Health,
        cors: Cors,
        observer: Observer,
        tracer: Tracer | None = None,
    ) -> None:
        self.health = health
        self._tracer = tracer
        self._cors = cors
        self._observer = observer
        pixel = Pixel(tracking)
        self._tracking = tracking
        # answers that had to be awaited after all
        self._late: set[asyncio.Task[None]] = set()
        self._endpoints: dict[str, Endpoint] = {
            "track": lambda request, route: tracking.post(request, route.slug, KINDS[route.name]),
            "batch": lambda request, route: tracking.post(request, route.slug, None),
            "pixel": lambda request, route: pixel.get(request, route.slug),
            "own": lambda request, route: (
                tracking.post(request, route.slug, None)
                if request.method == "POST"
                else pixel.get(request, route.slug)
            ),
            "webhook": lambda request, route: webhooks.post(
                request, route.slug, route.name, route.token
            ),
            "script": lambda request, route: script.get(request, route.slug),
            "alive": lambda request, _: health.alive(request),
        }

    async def __call__(
        self, scope: asgi.Scope, receive: asgi.Receive, send_message: asgi.Send
    ) -> None:
        if scope["type"] != "http":
            return await _not_http(scope, receive, send_message)
        request = Request(scope, receive)
        route = routes.find(request.path)
        if self._tracer is None or route is None or not route.takes_events:
            await self._respond(request, route, send_message)
            return None
        with self._tracer.request("ingest.request", request.headers.get(HEADER)) as span:
            span.set(http_request_method=request.method, http_route=route.template)
            status = await self._respond(request, route, send_message)
            span.set(http_response_status_code=status, tenant=request.tenant, source=request.source)
        return None

    def begin(self, request: Request, reply: Reply) -> bool:
        """Take a whole tracking request without a task: `reply` is called with its answer when the
        broker has told.

        False where the request must be taken the usual way; nothing has happened then.
        """
        route = routes.find(request.path)
        if (
            self._tracer is not None
            or route is None
            or route.endpoint not in ("track", "batch", "own")
        ):
            return False
        visit = _Visit(request, route, time.perf_counter())
        done = partial(self._ended, visit, reply)
        try:
            return self._tracking.begin(request, route.slug, KINDS.get(route.name), done)
        except Exception as error:
            # a refusal is an answer: the usual way would come to the same, after the same work
            # again
            self._reply(visit, reply, self._failed(visit, error))
            return True

    def _ended(self, visit: _Visit, reply: Reply, ending: Ending) -> None:
        if isinstance(ending, Answer):
            self._reply(visit, reply, ending)
        else:
            late = asyncio.get_running_loop().create_task(self._reply_late(visit, reply, ending))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _reply_late(self, visit: _Visit, reply: Reply, rest: Awaitable[Answer]) -> None:
        self._reply(visit, reply, await self._guarded(visit, rest))

    def _reply(self, visit: _Visit, reply: Reply, answer: Answer) -> None:
        reply(answer.status, headers_of(answer, self._extra(visit, answer)), answer.body)
        self._done(visit, answer)

    async def _respond(
        self, request: Request, route: routes.Route | None, send_message: asgi.Send
    ) -> int:
        """Answer and observe; the answer's status, or 499 where the sender had gone."""
        visit = _Visit(request, route, time.perf_counter())
        try:
            answer = await self._guarded(visit, self._answer(request, route))
        except SenderGone:
            return 499
        await send(answer, request, send_message, extra=self._extra(visit, answer))
        self._done(visit, answer)
        return answer.status

    async def _guarded(self, visit: _Visit, answering: Awaitable[Answer]) -> Answer:
        """The answer, whatever happens inside; raises SenderGone."""
        try:
            return await answering
        except SenderGone:
            raise
        except Exception as error:
            return self._failed(visit, error)

    def _failed(self, visit: _Visit, error: Exception) -> Answer:
        """The answer to a refusal, and to a fault of ours."""
        if isinstance(error, Problem):
            return Answer(error.status, error.body(), MEDIA_TYPE, error.headers)
        self._observer.failed(visit.request, visit.template, error)
        fault = Problem(500, "The edge failed; the fault is logged.")
        return Answer(500, fault.body(), MEDIA_TYPE)

    def _extra(self, visit: _Visit, answer: Answer) -> tuple[Header, ...]:
        route = visit.route
        if route is None or not route.is_tracking:
            return ()
        return self._cors.headers(visit.request, route.slug, status=answer.status)

    def _done(self, visit: _Visit, answer: Answer) -> None:
        seconds = time.perf_counter() - visit.started
        self._observer.done(
            visit.request, template=visit.template, status=answer.status, seconds=seconds
        )

    async def _answer(self, request: Request, route: routes.Route | None) -> Answer:
        if route is None:
            raise Problem(404, "There is nothing at this path.")
        if request.method not in route.methods:
            return await self._other_method(request, route)
        return await self._endpoints[route.endpoint](request, route)

    async def _other_method(self, request: Request, route: routes.Route) -> Answer:
        allow = (b"allow", ", ".join(sorted(route.methods | {"OPTIONS"})).encode())
        if route.endpoint == "webhook" and request.method in ("GET", "HEAD"):
            return Answer(200, LOOK, b"text/plain; charset=utf-8", (allow,))
        if request.method != "OPTIONS":
            raise Problem(
                405, "This path takes " + ", ".join(sorted(route.methods)) + ".", headers=[allow]
            )
        if route.is_tracking:
            return await self._cors.preflight(request, route.slug)
        return Answer(204, headers=(allow,))


def build(
    *,
    bus: ports.Bus,
    plans: ports.Plans,
    limiter: ports.Limiter,
    quarantine: ports.Quarantine,
    settings: EdgeSettings,
    detour: ports.Detour | None = None,
    beginner: ports.Beginner | None = None,
    gateways: Mapping[str, Gateway] | None = None,
    clock: WallClock = time,
    tracer: Tracer | None = None,
    tally: IntegrationCounters | None = None,
    ack_timeout_s: float | None = None,
) -> Edge:
    """Wire the edge.

    `gateways` defaults to every registered one, without a `detour` nothing is spooled.

    With a `beginner`, requests that come whole take `Edge.begin`.
    """
    landing_hosts = LandingHosts()
    observer = Observer(tally)
    country = client_ip.Country(settings.country_header, trusted_proxies=settings.trusted_proxies)
    out = EventPublisher(
        bus=bus,
        detour=detour,
        beginner=beginner,
        timeout_s=ack_timeout_s,
        event_version=settings.event_version,
    )
    rules = Acceptance(
        plans=plans,
        landing_hosts=landing_hosts,
        trusted_proxies=settings.trusted_proxies,
        country=country,
    )
    tracking = Tracking(
        rules=rules,
        out=out,
        limiter=limiter,
        observer=observer,
        clock=clock,
        body_timeout_s=settings.body_timeout_s,
    )
    webhooks = Webhooks(
        plans=plans,
        gateways=gateway_registry.registry() if gateways is None else gateways,
        out=out,
        limiter=limiter,
        quarantine=quarantine,
        clock=clock,
        body_timeout_s=settings.body_timeout_s,
        drift=Drift(),
        tally=tally,
        trusted_proxies=settings.trusted_proxies,
    )
    return Edge(
        tracking=tracking,
        webhooks=webhooks,
        script=Script(plans=plans, country=country, trusted_proxies=settings.trusted_proxies),
        health=Health(bus=bus, plans=plans, detour=detour),
        cors=Cors(plans=plans, landing_hosts=landing_hosts),
        observer=observer,
        tracer=tracer,
    )


async def _not_http(scope: asgi.Scope, receive: asgi.Receive, send_message: asgi.Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send_message({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    elif scope["type"] == "websocket":
        await receive()
        await send_message({"type": "websocket.close", "code": 1008})
