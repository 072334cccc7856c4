"""The bus: JetStream as the rooms see it. Publishing is in `client`, receiving in `lanes`."""

from sinal_runtime.bus.client import Bus, Outgoing, Published, Publisher
from sinal_runtime.bus.depth import Depth, Survey
from sinal_runtime.bus.errors import (
    BusError,
    BusRefused,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
)
from sinal_runtime.bus.lane import Lane, dispatch_lane, match_lane
from sinal_runtime.bus.lanes import Lanes
from sinal_runtime.bus.message import Message

__all__ = [
    "Bus",
    "BusError",
    "BusRefused",
    "BusUnavailable",
    "Depth",
    "Lane",
    "LaneFull",
    "LaneMissing",
    "Lanes",
    "Message",
    "MessageTooLarge",
    "Outgoing",
    "Published",
    "Publisher",
    "Survey",
    "dispatch_lane",
    "match_lane",
]
