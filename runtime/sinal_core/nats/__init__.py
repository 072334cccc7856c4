"""The bus: JetStream as the rooms see it. Publishing is in `client`, receiving in `lanes`."""

from sinal_core.nats.client import Bus, Outgoing, Published, Publisher
from sinal_core.nats.depth import Depth, Survey
from sinal_core.nats.errors import (
    BusError,
    BusRefused,
    BusUnavailable,
    LaneFull,
    LaneMissing,
    MessageTooLarge,
)
from sinal_core.nats.lane import Lane, dispatch_lane, match_lane
from sinal_core.nats.lanes import Lanes
from sinal_core.nats.message import Message

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
