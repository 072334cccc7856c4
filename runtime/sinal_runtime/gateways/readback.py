"""`sinal_hub.model.readback` by its name of before."""

from sinal_hub.model.readback import *  # noqa: F403
