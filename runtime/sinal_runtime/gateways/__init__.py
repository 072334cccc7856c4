"""`sinal_hub.gateways` by its name of before."""

from sinal_hub.gateways import Gateway, NotThisGateway

__all__ = ["Gateway", "NotThisGateway"]
