"""Being process 1 of a container, to which the kernel delivers no signal that it has no handler
for.

Any other process ends by a SIGTERM for which it has none. Process 1 would go on, and a pod that is
deleted while it starts would stand until its grace is over. Nothing is held then that would have to
be let go, so the process ends at once; a role that has begun puts a handler of its own in this
one's place.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

ENDED = 128 + signal.SIGTERM  # what a shell, and a kubelet, call ended by SIGTERM


def can_be_ended() -> None:
    """Let SIGTERM end process 1 as it would end any other."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(ENDED)  # no exception: an import under way could swallow it
