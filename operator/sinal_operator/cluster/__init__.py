"""The operator in a cluster: custom resources and Secrets in, lanes, plans and statuses out.

Kopf watches, queues and keeps the finalizer; its handlers only note what they saw in the `mirror`. One level-based
`reconciler` compiles all of it, has `provision` bring NATS to it, and writes statuses that differ.
"""

from __future__ import annotations

from sinal_operator.cluster.login import pod_namespace
from sinal_operator.cluster.operator import ClusterOperator, Options
from sinal_operator.cluster.replica import Replica
from sinal_operator.cluster.routes import BadOptions, RouteOptions

__all__ = ["BadOptions", "ClusterOperator", "Options", "Replica", "RouteOptions", "pod_namespace"]
