"""What to do about a finding, by how the platform was started: on a laptop by `sinal up`, or on a
cluster.

The API's own advice names settings and commands that fit any way of running; here are those that
fit this one.
"""

from __future__ import annotations

from typing import Any

from sinal_cli.client.target import Target

_PODS = "kubectl get pods --all-namespaces --selector app.kubernetes.io/component={role}"
_CLUSTER = {
    ("services", "postgres"): "see that PostgreSQL's pods and Service are ready, and that the "
    "chart's Secret has its "
    "URL; events wait in the broker meanwhile",
    ("services", "schema"): "the chart's hook brings the tables up to date: run `helm upgrade` "
    "with this release again",
    ("services", "nats"): "see that the pods of NATS are ready; ingest keeps events on its volumes "
    "meanwhile",
    ("services", "plans"): "nothing has written the plans: `" + _PODS.format(role="operator") + "`",
    ("services", "redis"): "see that Redis' pods are ready; each pod limits rates by itself "
    "meanwhile",
    ("lanes", ""): ("the operator makes them again within seconds: `")
    + _PODS.format(role="operator")
    + "`",
    ("plans", "platform"): "apply a Tenant: `kubectl get sinal --all-namespaces` shows what is "
    "there",
}


def advice(finding: dict[str, Any], target: Target) -> str | None:
    """The way out of a finding; None where it needs none."""
    said: str | None = finding["advice"]
    if said is None:
        return None
    missing = finding["area"] == "lanes" and finding["detail"].startswith("missing")
    key = (finding["area"], "" if missing else finding["subject"])
    if target.folder is not None:
        return _laptop(key, target) or said
    return _CLUSTER.get(key, said) if target.on_cluster else said


def _laptop(key: tuple[str, str], target: Target) -> str | None:
    area, subject = key
    again = "stop `sinal up` with Ctrl-C and start it again: the data stays"
    if area == "services" and subject in ("postgres", "nats", "redis"):
        log = f"{target.folder}/logs/{subject}.log"
        kept = {
            "postgres": "what comes waits in NATS",
            "nats": "what comes waits on disk",
            "redis": "all else goes on",
        }
        return f"{kept[subject]} meanwhile. If it stays away, {again}; {log} says why it ended"
    return {
        ("services", "schema"): f"{again}, and its tables are brought up to date",
        (
            "services",
            "plans",
        ): "see what `sinal up` says of its manifests; `sinal manifests check` says more",
        ("lanes", ""): f"`sinal up` makes them again within seconds; if not, {again}",
        (
            "plans",
            "platform",
        ): "start `sinal up` with --file and a folder of manifests, such as examples",
    }.get(key)
