"""Credentials for the API server, the same for Kopf and for our own client.

The official client reads them, because it knows all their forms: a pod's token, a kubeconfig with
certificates, exec plugins, OIDC. `KUBECONFIG` wins over the pod's own account. A pod's token is
replaced within the hour: whoever is answered 401 calls `login` again.
"""

from __future__ import annotations

import os
from pathlib import Path

import kopf
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def login(**ignored: object) -> kopf.ConnectionInfo:
    """Read the credentials as they are now; raises kopf.LoginError."""
    configuration = Configuration()
    try:
        await _load(configuration)
    except (ConfigException, OSError) as error:
        raise kopf.LoginError(
            f"no credentials for an API server: {error}; set KUBECONFIG, or run in a pod with a "
            "service account"
        ) from error
    scheme, _, token = str(configuration.api_key.get("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=str(configuration.host),
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )


def pod_namespace() -> str | None:
    """The namespace of the pod whose account is used; None where it is not a pod's."""
    if not _in_pod():
        return None
    try:
        return NAMESPACE_FILE.read_text().strip() or None
    except OSError:
        return None


def _in_pod() -> bool:
    return not os.environ.get("KUBECONFIG") and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


async def _load(configuration: Configuration) -> None:
    named = os.environ.get("KUBECONFIG") or None
    if not _in_pod():
        await load_kube_config(config_file=named, client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
