"""What the operator does to NATS.

Knows no Kubernetes, so that files can take the place of a cluster.
"""

from sinal_operator.provision.connection import Connection
from sinal_operator.provision.provisioner import Provisioner
from sinal_operator.provision.report import Report, Result, Retired, TenantReport

__all__ = [
    "Connection",
    "Provisioner",
    "Report",
    "Result",
    "Retired",
    "TenantReport",
]
