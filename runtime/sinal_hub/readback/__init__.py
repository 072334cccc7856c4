"""Read-back: notices of gateways that carry ids only become sales by a call to the gateway's API.

The edge answers such a notice at once and puts it into the tenant's lane with a description of the
call. The match role makes the call, publishes the sales it tells, and only then lets the notice
itself be recorded. A call that fails is made again by redelivery; what never succeeds is a dead
letter, which can be replayed.
"""

from sinal_hub.readback.api import GatewayApi
from sinal_hub.readback.worker import ReadBackWorker

__all__ = ["GatewayApi", "ReadBackWorker"]
