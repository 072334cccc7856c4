"""Names that packages of others import, as they were called before 0.3: an alias for one release.

Gateways of other packages import `sinal_hub.gateways`, `sinal_hub.model.sale`,
`sinal_hub.model.readback` and `sinal_hub.identity` now. Nothing of Sinal's own imports this
package.
"""

from __future__ import annotations

import warnings

warnings.warn(
    "sinal_runtime is now sinal_hub, and leaves with the next release: "
    "docs/developers/adding-a-gateway.md has the new names",
    DeprecationWarning,
    stacklevel=2,
)
