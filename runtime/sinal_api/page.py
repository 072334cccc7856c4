"""The page of the API at /docs: Swagger UI from the package that is installed, and nothing from
anywhere else.

People paste an admin key into it, so that no script of others may run beside it: the page holds
none itself, and its policy allows the files of this host alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse

from sinal_api.browsers import PAGE_POLICY

PATH = "/docs"
SCRIPT = """\
// Paths are those of the page, so that it works under a path of a proxy as well.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
"""
HTML = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Sinal operations API</title>
    <link rel="icon" href="docs/favicon.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/page.js"></script>
  </body>
</html>
"""
PACKAGED = {
    "favicon.png": "image/png",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_KEPT = {"Cache-Control": "public, max-age=3600"}


def add(app: FastAPI) -> None:
    """Add the page and its files; they need no key and show no data."""

    @app.get(PATH, include_in_schema=False)
    async def page() -> Response:
        return Response(
            HTML, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY}
        )

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse(PATH.removeprefix("/"))  # relative: the API may stand below a path

    @app.get(f"{PATH}/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    for name, kind in PACKAGED.items():
        app.add_api_route(
            f"{PATH}/{name}", _file(name, kind), methods=["GET"], include_in_schema=False
        )


def _file(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    async def packaged() -> Response:
        return Response(_packaged(name), media_type=kind, headers=_KEPT)

    return packaged


@cache
def _packaged(name: str) -> bytes:
    """A file of Swagger UI; 2 MB once in a process, and only where somebody looks."""
    return (files("fastapi_offline") / "static" / name).read_bytes()
