"""What the operator needs around it, each a process: a control plane, NATS, the operator itself and
an ingest role.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sinal_cli.embedded.nats import Nats
from sinal_cli.embedded.process import Service, free_port, port_open
from sinal_crds.schema import FACES, MANIFESTS

from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess

USER = "sinal-operator"  # whose requests the API server's audit log counts
NAMESPACE = "bench"
_POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, Panic]
rules:
- {{level: Metadata, users: [{USER}]}}
- {{level: None}}
"""


class Stage:
    """All of it in a folder."""

    def __init__(self, folder: Path) -> None:
        self._audit = folder / "audit.log"
        policy = folder / "policy.yaml"
        policy.write_text(_POLICY)
        options = (f"--audit-policy-file={policy}", f"--audit-log-path={self._audit}")
        self.plane = ControlPlane(folder / "plane", api_server_options=options)
        self.nats = Nats(folder / "nats", password="nats", log=folder / "nats.log")
        self._folder = folder
        self._ingest_port = free_port()
        self.operator: OperatorProcess | None = None
        self.ingest: Service | None = None

    @property
    def ingest_url(self) -> str:
        """Where ingest answers."""
        return f"http://127.0.0.1:{self._ingest_port}"

    async def start(self) -> None:
        """Start all; returns once operator and ingest are ready."""
        await self.nats.start()
        await asyncio.to_thread(self._start_plane)
        who = self.plane.authority.kubeconfig("operator", self.plane.url, USER, ["system:masters"])
        settings = {"SINAL_LEASE_NAMESPACE": NAMESPACE}
        self.operator = OperatorProcess(
            self._folder, kubeconfig=who, nats_url=self.nats.url, settings=settings
        )
        self.operator.start()
        await asyncio.to_thread(self.operator.wait_ready, 60)
        environment = {
            **os.environ,
            "SINAL_NATS_URL": self.nats.url,
            "SINAL_KEYRING_FILE": str(self._folder / "keyring.json"),
            "SINAL_PORT": str(self._ingest_port),
            "SINAL_METRICS_PORT": "0",
        }
        command = [sys.executable, "-m", "sinal_cli", "run", "ingest"]
        self.ingest = Service("ingest", command, log=self._folder / "ingest.log", env=environment)
        self.ingest.spawn()
        await self.ingest.ready(lambda: port_open(self._ingest_port), timeout_s=60)

    def _start_plane(self) -> None:
        self.plane.start()
        kubectl = Kubectl(self.plane.kubeconfig)
        kubectl.do("apply", "-f", str(MANIFESTS))
        definitions = [f"crd/{face.plural}.sinal.dev" for face in FACES.values()]
        kubectl.do("wait", *definitions, "--for=condition=Established", "--timeout=30s")
        kubectl.do("create", "namespace", NAMESPACE)

    async def stop(self) -> None:
        """Stop all, whatever was started."""
        for service in (self.ingest, self.operator):
            if service is not None:
                service.kill()
        await asyncio.to_thread(self.plane.stop)
        await self.nats.stop()

    def api_requests(self) -> Counter[str]:
        """The operator's requests to the API server so far, by verb and resource.

        A watch counts when it begins.
        """
        found: Counter[str] = Counter()
        for line in self._audit.read_text().splitlines():
            entry = json.loads(line)
            verb, resource = (
                entry["verb"],
                entry.get("objectRef", {}).get("resource", entry["requestURI"]),
            )
            if (entry["stage"] == "ResponseStarted") == (verb == "watch"):
                found[f"{verb} {resource}"] += 1
        return found

    def nats_messages(self) -> int:
        """Messages that the server has had from the operator: requests of JetStream and what is
        published.
        """
        return sum(one["in_msgs"] for one in self._connections() if one.get("name") == USER)

    def _connections(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.nats.monitor_port}/connz") as answer:
            connections: list[dict[str, Any]] = json.loads(answer.read())["connections"]
            return connections

    def rounds(self) -> str:
        """What the operator counts of its work, for a person."""
        lines = self.operator.answer("/metrics").splitlines()
        wanted = (
            "sinal_reconcile_total",
            "sinal_reconcile_seconds_count",
            "sinal_reconcile_seconds_sum",
        )
        return "\n".join(line for line in lines if line.startswith(wanted))


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Stage]:
    """A started stage, gone at the end; logs of one that failed are kept."""
    with tempfile.TemporaryDirectory(prefix="sinal-bench-", ignore_cleanup_errors=True) as folder:
        stage = Stage(Path(folder))
        try:
            await stage.start()
            yield stage
        finally:
            await asyncio.shield(stage.stop())


def now() -> float:
    """Seconds, for spans."""
    return time.perf_counter()
