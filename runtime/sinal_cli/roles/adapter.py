"""The metrics adapter as a role: queue depths for Kubernetes' autoscaler, and for KEDA."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from sinal_cli.roles.base import CONNECT_S, Background, RoleBase, RoleSettings
from sinal_core.http.drain import Drain
from sinal_core.http.readiness import Readiness, of_answers
from sinal_core.http.settings import DrainSettings
from sinal_metrics_adapter.settings import ExternalMetricsSettings

if TYPE_CHECKING:
    from sinal_core.nats import Bus
    from sinal_hub.status.depths import DepthSource
    from sinal_metrics_adapter.certificate_reconciler import CertificateReconciler


class AdapterSettings(ExternalMetricsSettings, DrainSettings, RoleSettings):
    """What `sinal run metrics-adapter` reads."""


class MetricsAdapter(RoleBase[AdapterSettings]):
    """Depths as JSON, and as `external.metrics.k8s.io` unless that is left to somebody else.

    It holds credentials of Kubernetes, and therefore no keys of plans and no database.
    """

    role = "metrics-adapter"
    url = ""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self._nats: Bus | None = None
        self._keeper: CertificateReconciler | None = None
        self._leaving = Drain()

    async def start(self) -> None:
        """Listen; what is waited for is told by `/readyz`."""
        from sinal_core.http.server import HttpServer
        from sinal_hub.status.depths import DepthSource
        from sinal_metrics_adapter import plain_http

        settings = self._settings
        self._nats = await self._bus("sinal-metrics-adapter", wait_s=CONNECT_S)
        source = DepthSource(self._nats)
        server = HttpServer(
            plain_http.build(source, self.standing), host=settings.host, port=settings.port
        )
        await server.start()
        self._stack.push_async_callback(server.stop)
        self.url = server.url
        if settings.adapter_external_metrics:
            await self._extend(source)

    async def stop(self) -> None:
        """Be unready for as long as load balancers need, then release everything."""
        self._leaving.drain()
        await asyncio.sleep(self._settings.drain_s)
        await super().stop()

    async def readiness(self) -> Mapping[str, bool]:
        """Each dependency by name, and whether it answers."""
        nats = {"nats": self._nats is not None and self._nats.connected}
        keeper = self._keeper
        if keeper is None:
            return nats
        return {**nats, "certificate": keeper.serving, "apiservice": keeper.registered}

    async def standing(self) -> Readiness:
        """It works without the broker, for the API server's sake.

        Not without a certificate, nor beside another.
        """
        needs, draining = await self.readiness(), self._leaving.draining
        keeper = self._keeper
        if keeper is None:
            return of_answers(needs, draining=draining)
        return of_answers(
            needs,
            ready=keeper.serving and keeper.refusal is None,
            draining=draining,
            reason=keeper.refusal or keeper.trouble,
        )

    async def _extend(self, source: DepthSource) -> None:
        """Answer the API server, and keep what that takes."""
        from sinal_metrics_adapter.access import Authorizer
        from sinal_metrics_adapter.app import MetricsApi
        from sinal_metrics_adapter.certificate_reconciler import CertificateReconciler, look_s
        from sinal_metrics_adapter.certificates import KeyPair, Maker
        from sinal_metrics_adapter.cluster import Cluster, pod_namespace
        from sinal_metrics_adapter.listener import TlsListener
        from sinal_metrics_adapter.ports import FrontProxy

        settings = self._settings
        namespace = settings.adapter_namespace or pod_namespace() or "default"
        service, secret = settings.adapter_service, settings.adapter_secret
        cluster = await Cluster.connect(namespace=namespace, secret=secret)
        self._stack.push_async_callback(cluster.close)
        access = Authorizer(cluster)
        listener = TlsListener(
            MetricsApi(access, source, ready=self._ready).build(),
            host=settings.host,
            port=settings.adapter_port,
        )

        def present(pair: KeyPair, front: FrontProxy) -> None:
            listener.present(pair, front.authorities)
            access.front = front

        life = timedelta(hours=settings.adapter_certificate_hours)
        every_s = look_s(life)
        hosts = [f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
        maker = Maker(hosts, life, settle=timedelta(seconds=2 * every_s))
        self._keeper = CertificateReconciler(
            cluster, maker, namespace=namespace, service=service, secret=secret, present=present
        )
        await listener.start()
        self._stack.push_async_callback(listener.stop)
        background = Background()
        self._stack.push_async_callback(background.stop)
        background.run(self._keeper.run(every_s))

    async def _ready(self) -> bool:
        return (await self.standing()).ready
