"""Where the cluster's API server is and who we are there: for the few parts of the runtime that ask it anything.

Credentials are those of `KUBECONFIG`, else of the pod's service account, whose token the client reads again in time.
"""

from __future__ import annotations

import os
from typing import Any

from kubernetes.aio import client
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config


class NoCredentials(RuntimeError):
    """There is nothing to log in with; the message says what to set."""


async def log_in() -> Any:
    """A client with credentials, to be closed by who asked; raises NoCredentials."""
    configuration = client.Configuration()
    named = os.environ.get("KUBECONFIG") or None
    try:
        if named or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            await load_kube_config(config_file=named, client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise NoCredentials(
            f"no credentials for an API server: {error}; set KUBECONFIG, or run in a pod with a service account"
        ) from error
    return client.ApiClient(configuration)
