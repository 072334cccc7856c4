"""`sinal_hub.identity` by its name of before."""

from sinal_hub.identity import *  # noqa: F403
