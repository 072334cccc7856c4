"""The one word of the API's health that anybody may hear."""

from __future__ import annotations

from fastapi import FastAPI


def add(app: FastAPI) -> None:
    """Add the one word that anybody may hear."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}
