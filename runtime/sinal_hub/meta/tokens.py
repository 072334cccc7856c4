"""Asks the Graph API whether a destination's access token is good, by `debug_token`.

A token that Meta refuses by that call says so in the answer. An answer that cannot be read is not a
verdict on the token.
"""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp
import msgspec

from sinal_core.telemetry.masking import without_secret
from sinal_crds.plan import DestinationPlan

TIMEOUT_S = 5.0


class _Error(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str | None = None


class _Data(msgspec.Struct, frozen=True):
    is_valid: bool = False
    expires_at: int = 0
    error: _Error | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: _Data | None = None
    error: _Error | None = None


class GraphTokens:
    """One call a token; `base_url` is `https://graph.facebook.com` or an emulator's."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    async def check(self, destination: DestinationPlan) -> TokenState | None:
        """What Meta says; None when it does not answer, or not as documented."""
        if not destination.access_token:
            return TokenState(
                valid=False,
                expires_at=None,
                problem=destination.problem or "it has no access token",
            )
        url = f"{self._base_url}/{destination.api_version}/debug_token"
        headers = {"Authorization": f"Bearer {destination.access_token}"}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(
                    url, params={"input_token": destination.access_token}, headers=headers
                ) as response,
            ):
                said = msgspec.json.decode(await response.read(), type=_Answer)
        except (aiohttp.ClientError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return _state(said, destination.access_token)


def _state(said: _Answer, token: str) -> TokenState | None:
    error = said.error or (said.data.error if said.data else None)
    if error is not None:
        words = without_secret(error.message or "refused", token, limit=300)
        return TokenState(
            valid=False, expires_at=None, problem=f"Meta says: {words} (code {error.code})"
        )
    if said.data is None:
        return None
    # Meta says 0 of a token that does not end, as those of system users.
    expires = (
        datetime.fromtimestamp(said.data.expires_at, UTC) if said.data.expires_at > 0 else None
    )
    problem = None if said.data.is_valid else "Meta says that it is not valid"
    return TokenState(valid=said.data.is_valid, expires_at=expires, problem=problem)


class TokenState(msgspec.Struct, kw_only=True, frozen=True):
    """What Meta says of an access token; `expires_at` is null for one that does not expire."""

    valid: bool
    expires_at: datetime | None
    problem: str | None
