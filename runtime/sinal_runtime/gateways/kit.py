"""`sinal_hub.gateways.kit` by its name of before."""

from sinal_hub.gateways.kit import *  # noqa: F403
