"""What an installation in a cluster needs before its first pod: a fit cluster, and Secrets that are
made once.

Helm's templates can't do this: what they draw at random or look up differs at every rendering, and
a comparison with Git would never end. So a Job of the chart does it, with rights for nothing else.
"""

from __future__ import annotations

from sinal_operator.install.preflight import Unfit, definitions_served, external_metrics_ours
from sinal_operator.install.secrets import (
    Malformed,
    change_keyring,
    ensure,
    ensure_parts,
    read_keyring,
)

__all__ = [
    "Malformed",
    "Unfit",
    "change_keyring",
    "definitions_served",
    "ensure",
    "ensure_parts",
    "external_metrics_ours",
    "read_keyring",
]
