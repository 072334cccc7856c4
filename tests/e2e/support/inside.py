"""What runs inside the pods of a release: their code, and what their database says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.support.kubectl import Kubectl
from tests.e2e.support import fingerprint

_FINGERPRINT = Path(fingerprint.__file__).read_text()
# Housekeeping has the owner's URL.
_QUERY = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["SINAL_MAINTENANCE_DATABASE_URL"], autocommit=True) as connection:
    done = connection.execute(sys.argv[1])
    print(json.dumps(done.fetchall() if done.description else [], default=str))
"""
ROLE = "app.kubernetes.io/component"


def codes(kubectl: Kubectl) -> dict[str, set[str]]:
    """Digest of the code of each Deployment's ready pods, by role; see `fingerprint`."""
    found: dict[str, set[str]] = {}
    for role in sorted(_roles(kubectl)):
        found[role] = {python(kubectl, pod, _FINGERPRINT).strip() for pod in ready(kubectl, role)}
    return found


def query(kubectl: Kubectl, statement: str) -> list[list[Any]]:
    """Rows of a statement that the tables' owner runs, as JSON has them."""
    rows: list[list[Any]] = json.loads(
        python(kubectl, ready(kubectl, "housekeeping")[0], _QUERY, statement)
    )
    return rows


def python(kubectl: Kubectl, pod: str, program: str, *arguments: str) -> str:
    """What a program says that the pod's own Python runs."""
    return kubectl.do("exec", pod, "--", "python", "-c", program, *arguments)


def ready(kubectl: Kubectl, role: str) -> list[str]:
    """A role's pods that are ready and not about to end."""
    return [
        pod["metadata"]["name"]
        for pod in kubectl.list("pods")
        if pod["metadata"].get("labels", {}).get(ROLE) == role
        and "deletionTimestamp" not in pod["metadata"]
        and any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in pod["status"].get("conditions", [])
        )
    ]


def _roles(kubectl: Kubectl) -> set[str]:
    return {
        item["spec"]["template"]["metadata"]["labels"][ROLE] for item in kubectl.list("deployments")
    }
