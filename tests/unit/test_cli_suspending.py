"""`sinal suspend` and `sinal resume`: what is asked of the API, and what a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from rich.console import Console

from sinal_cli.client.session import ApiRefused, Session
from sinal_cli.client.show import Output
from sinal_cli.client.suspending import KINDS, Word, change
from sinal_cli.client.target import Target


class Api:
    """Answers as `PUT /api/v1/suspensions` does, of a platform with these tenants."""

    def __init__(self, *tenants: str) -> None:
        self.tenants = tenants
        self.asked: list[dict[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(
                200, json={"funnels": [{"tenant": slug} for slug in self.tenants]}
            )
        body = json.loads(request.content)
        self.asked.append(body)
        return httpx.Response(200, json={**body, "kept_as": "loja.yaml"})


@contextmanager
def talking(api: Api) -> Iterator[Session]:
    with Session(
        Target("http://api.example", "key"), transport=httpx.MockTransport(api)
    ) as session:
        yield session


def terminal() -> Output:
    out = Output(as_json=False)
    out.lines, out.console = False, Console(highlight=False, width=80)
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suspended", [True, False])
def test_the_api_is_asked_and_the_person_told(
    kind: Word, suspended: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    api, name = Api("loja"), "loja" if kind == "tenant" else "pixel"
    with talking(api) as session:
        assert change(session, terminal(), kind, name, None, suspended=suspended) == 0
    assert api.asked == [
        {"tenant": "loja", "kind": KINDS[kind], "name": name, "suspended": suspended}
    ]
    said = capsys.readouterr().out
    assert (
        said.startswith(f"{kind} {name} ")
        and ("is suspended" in said) is suspended
        and "loja.yaml" in said
    )


def test_of_several_tenants_one_is_named() -> None:
    api = Api("loja", "outra")
    with talking(api) as session:
        with pytest.raises(ApiRefused, match="--tenant; there are: loja, outra"):
            change(session, terminal(), "destination", "pixel", None, suspended=True)
        change(session, terminal(), "destination", "pixel", "outra", suspended=True)
        change(session, terminal(), "tenant", "loja", None, suspended=True)
    assert [asked["tenant"] for asked in api.asked] == ["outra", "loja"]
