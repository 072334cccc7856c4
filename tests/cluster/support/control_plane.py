"""etcd, kube-apiserver and kube-controller-manager as plain processes: a real control plane without
nodes.
"""

from __future__ import annotations

import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from sinal_cli.embedded.process import free_port, wrapped

from tests.cluster.support.assets import PROGRAMS, locate
from tests.cluster.support.pki import Authority, service_account_keys

ETCD, API_SERVER, CONTROLLERS = PROGRAMS
START_S = 180.0
# of this machine: who listens on a Service's address is reached there without a kube-proxy
SERVICES = "127.42.0.0/24"
_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "deployment-controller",
    "replicaset-controller",
    "horizontal-pod-autoscaler-controller",
)


class Component:
    """One process of the control plane; it can be killed and started again."""

    def __init__(self, name: str, command: list[str], log: Path, ready: Callable[[], bool]) -> None:
        self.name, self._log, self._ready = name, log, ready
        self._command = wrapped(command, death_signal="KILL")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers; raises RuntimeError with the end of its log."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start\n" + self._log.read_text()[-3000:])
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, then make it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop and start on the same data and port."""
        self.stop(how)
        self.start()


class ControlPlane:
    """A cluster's brain in a folder."""

    def __init__(self, folder: Path, *, api_server_options: Sequence[str] = ()) -> None:
        self._folder, self._more = folder, tuple(api_server_options)
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder / "pki")
        self.front = Authority(folder / "pki", "front-proxy-ca")
        self._ports = {
            name: free_port() for name in ("etcd", "etcd-peer", "apiserver", "controllers")
        }
        self.url = f"https://127.0.0.1:{self._ports['apiserver']}"
        self.kubeconfig = self.authority.kubeconfig("admin", self.url, "admin", ["system:masters"])
        self._admin = ssl.create_default_context(cafile=str(self.authority.path))
        self._admin.load_cert_chain(folder / "pki" / "admin.crt", folder / "pki" / "admin.key")
        service_account_keys(folder / "pki")
        self.etcd, self.api_server = self._etcd(), self._api_server()
        self.controllers: Component | None = None

    def start(self) -> None:
        """Start etcd and the API server."""
        self.etcd.start()
        self.api_server.start()

    def start_controllers(self) -> None:
        """Start the controllers: for what is deleted, for Deployments, and for autoscalers."""
        if self.controllers is None:
            self.controllers = self._controllers()
            self.controllers.start()

    def stop(self) -> None:
        """Stop all, the storage last."""
        if self.controllers is not None:
            self.controllers.stop()
        self.api_server.stop(signal.SIGKILL)
        self.etcd.stop(signal.SIGKILL)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _pki(self, name: str) -> str:
        return str(self._folder / "pki" / name)

    def _etcd(self) -> Component:
        url, peer = (f"http://127.0.0.1:{self._ports[name]}" for name in ("etcd", "etcd-peer"))
        options = [
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync=true",
        ]
        return Component(
            "etcd",
            [str(locate(ETCD)), *options],
            self._log("etcd"),
            lambda: _answers(f"{url}/health"),
        )

    def _api_server(self) -> Component:
        self.authority.issue("apiserver", "kube-apiserver", server=True)
        self.front.issue("front-proxy", "front-proxy")
        options = [
            f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports['apiserver']}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--client-ca-file={self.authority.path}",
            f"--tls-cert-file={self._pki('apiserver.crt')}",
            f"--tls-private-key-file={self._pki('apiserver.key')}",
            f"--service-account-issuer={self.url}/",
            f"--service-account-key-file={self._pki('sa.pub')}",
            f"--service-account-signing-key-file={self._pki('sa.key')}",
            f"--requestheader-client-ca-file={self.front.path}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={self._pki('front-proxy.crt')}",
            f"--proxy-client-key-file={self._pki('front-proxy.key')}",
            *self._more,
        ]
        ready = lambda: _answers(f"{self.url}/readyz", self._admin)  # noqa: E731 - a probe
        return Component(
            "kube-apiserver", [str(locate(API_SERVER)), *options], self._log("apiserver"), ready
        )

    def _controllers(self) -> Component:
        user = "system:kube-controller-manager"
        config = self.authority.kubeconfig("controllers", self.url, user, ["system:masters"])
        port = self._ports["controllers"]
        options = [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--leader-elect=false",
            f"--controllers={','.join(_CONTROLLERS)}",
            f"--service-account-private-key-file={self._pki('sa.key')}",
            "--use-service-account-credentials=true",  # each asks as itself, under its own rules
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--horizontal-pod-autoscaler-downscale-stabilization=5s",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self._folder / 'controllers'}",
        ]
        anyone = ssl._create_unverified_context()
        return Component(
            "kube-controller-manager",
            [str(locate(CONTROLLERS)), *options],
            self._log("controllers"),
            lambda: _answers(f"https://127.0.0.1:{port}/healthz", anyone),
        )


def _answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
