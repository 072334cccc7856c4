"""`sinal_hub.model.sale` by its name of before."""

from sinal_hub.model.sale import *  # noqa: F403
