"""The two shapes of a Kiwify delivery: the order itself, or wrapped as `{"url", "signature",
"order": {…}}`, `{"cart": {…}}`.

Kiwify's page shows the first, captured deliveries the second. What is verified must be what is
parsed: both ask `open_envelope` for the inner bytes, so that nothing beside a signed part is ever
read.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sinal_hub.gateways import NotThisGateway, _body
from sinal_hub.gateways._body import Node

_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery: the bytes of the order or cart exactly as sent, and the signature of the
    wrapper, if any.
    """

    inner: bytes
    wrapped: bool
    signature: str | None

    def fields(self) -> Node:
        """The order or cart; raises NotThisGateway where it is not an object."""
        return _body.load(self.inner)


def open_envelope(raw: bytes) -> Envelope:
    """The inner order or cart; raises NotThisGateway for what is not JSON."""
    body = _body.document(raw)
    try:
        parts = _raw_fields(body)
    except (msgspec.DecodeError, RecursionError):
        raise NotThisGateway("the body is not a JSON object") from None
    for name in ("order", "cart"):
        inner = bytes(parts[name]) if name in parts else b""
        if inner.startswith(b"{"):
            signature = bytes(parts["signature"]) if "signature" in parts else b"null"
            return Envelope(inner, True, Node({"it": _body.decode_json(signature)}).text("it"))
    return Envelope(body, False, None)
