"""The operator as a role: over manifests in files, or over the custom resources of a cluster."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sinal_cli.roles.base import BadSettings, Role
from sinal_cli.roles.plan_role import PlanRole, PlanSettings
from sinal_core.nats.settings import LaneSettings, StreamSettings
from sinal_core.plans.settings import HostSettings
from sinal_crds.keyring import Keyring
from sinal_hub.services.settings import ManifestFolderSettings
from sinal_operator.cluster.settings import ClusterSettings, RouteSettings

if TYPE_CHECKING:
    from sinal_operator.cluster.routes import RouteOptions


class OperatorSettings(
    ClusterSettings,
    RouteSettings,
    ManifestFolderSettings,
    HostSettings,
    StreamSettings,
    LaneSettings,
    PlanSettings,
):
    """What `sinal run operator` reads: from files, neither the cluster's nor the routes'."""


class Operator(PlanRole[OperatorSettings]):
    """Provisions lanes and plans from manifests in files."""

    role = "operator"

    def __init__(
        self, settings: OperatorSettings, keyring: Keyring, *, files: Sequence[Path]
    ) -> None:
        super().__init__(settings, keyring)
        self._files = files

    async def start(self) -> None:
        """Provision once, then keep it so."""
        from sinal_cli.provisioning import FileProvisioning

        provisioning = FileProvisioning(
            self._settings.nats_url,
            self._keyring,
            authority=self._settings.nats_authority,
            files=self._files,
            made=self._settings.manifest_folder,
            ack_wait_s=self._settings.lane_ack_wait_s,
            reserved=self._settings.reserved,
        )
        from sinal_crds.loading import InvalidManifests

        try:
            await provisioning.start()
        except InvalidManifests as error:
            raise BadSettings(str(error)) from error
        self._stack.push_async_callback(provisioning.stop)


class ClusterOperator(PlanRole[OperatorSettings]):
    """Provisions lanes and plans from the custom resources of a cluster.

    Where there is a Lease, as one of several.
    """

    role = "operator"

    def __init__(self, settings: OperatorSettings, keyring: Keyring) -> None:
        super().__init__(settings, keyring)
        self._routes = _routes(settings)
        self._readiness: Callable[[], Mapping[str, bool]] = lambda: {
            "kubernetes": False,
            "nats": False,
        }

    async def start(self) -> None:
        """Watch; what it waits for is told by readiness."""
        from sinal_operator.cluster.leader import LeaderState
        from sinal_operator.cluster.login import pod_namespace
        from sinal_operator.cluster.operator import OperatorOptions
        from sinal_operator.cluster.operator import SingleOperator as Alone

        settings = self._settings
        options = OperatorOptions(
            nats_url=settings.nats_url,
            nats_authority=settings.nats_authority,
            ingest_url=settings.public_url,
            ack_wait_s=settings.lane_ack_wait_s,
            replicas=settings.nats_replicas,
            deletion_patience_s=settings.deletion_patience_s,
            status_interval_s=settings.status_interval_s,
            routes=self._routes,
            namespaces=settings.watch_namespaces,
            reserved_hosts=settings.reserved,
        )
        namespace = settings.lease_namespace or pod_namespace()
        operator = (
            Alone(self._keyring, options, on_exit=_end_this_process)
            if namespace is None
            else LeaderState(
                self._keyring,
                options,
                lease=(namespace, settings.lease_name),
                on_exit=_end_this_process,
                on_lost=_vanish,
            )
        )
        await operator.start()
        self._stack.push_async_callback(operator.stop)
        self._readiness = operator.readiness

    async def readiness(self) -> Mapping[str, bool]:
        """The API server and NATS; of one that stands by, the API server."""
        return self._readiness()


def _routes(settings: OperatorSettings) -> RouteOptions | None:
    """How routes are to be made; raises BadSettings."""
    from sinal_operator.cluster import routes

    try:
        return routes.read(
            mode=settings.routes,
            public_url=settings.public_url,
            namespace=settings.routes_namespace,
            service=settings.routes_service,
            port=settings.routes_service_port,
            ingress_class=settings.ingress_class,
            gateway=settings.gateway,
            annotations=settings.routes_annotations,
            issuer=settings.cert_issuer,
            cluster_issuer=settings.cert_cluster_issuer,
        )
    except routes.BadOptions as error:
        raise BadSettings(str(error)) from error


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _vanish() -> None:
    """End without finishing anything: it would be done in another's time."""
    logging.shutdown()
    os._exit(1)


def operator(settings: OperatorSettings, keyring: Keyring, files: Sequence[Path]) -> Role:
    """From files where there are some, else from the cluster that KUBECONFIG or the pod's account
    leads to.
    """
    return Operator(settings, keyring, files=files) if files else ClusterOperator(settings, keyring)
