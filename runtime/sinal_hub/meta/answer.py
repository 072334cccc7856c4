"""What the Graph API answered to one request."""

from __future__ import annotations

import msgspec

from sinal_hub.meta.errors import GraphVerdict
from sinal_hub.meta.usage import Usage


class GraphAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one request."""

    verdict: GraphVerdict
    usage: Usage = Usage()
    latency_ms: int = 0
