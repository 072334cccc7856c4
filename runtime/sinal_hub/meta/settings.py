"""Settings of Meta's API."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class GraphSettings(Group):
    """Meta's Graph API."""

    graph_url: str = Field("https://graph.facebook.com", description="Base of the Graph API.")
