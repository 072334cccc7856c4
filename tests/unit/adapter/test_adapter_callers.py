"""Who is believed to be whom, and how long an answer about them holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from sinal_metrics_adapter.access import REMEMBER_S, Authorizer
from sinal_metrics_adapter.errors import ClusterUnavailable, Failure
from sinal_metrics_adapter.ports import User, Wish
from sinal_metrics_adapter.testing import FRONT

WISH = Wish("/apis/x", "loja", "sinal_queue_depth")


@dataclass
class Server:
    """The API server's opinions, and how often it was asked."""

    tokens: dict[str, User] = field(default_factory=dict)
    allowed: bool = True
    away: bool = False
    asked: list[object] = field(default_factory=list)
    at: float = 0.0

    def monotonic(self) -> float:
        return self.at

    async def review_token(self, token: str) -> User | None:
        self.asked.append(token)
        if self.away:
            raise ClusterUnavailable("away")
        return self.tokens.get(token)

    async def review_access(self, user: User, wish: Wish) -> tuple[bool, str]:
        self.asked.append((user, wish))
        if self.away:
            raise ClusterUnavailable("away")
        return self.allowed, ""


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def access(server: Server) -> Authorizer:
    found = Authorizer(server, clock=server)
    found.front = FRONT
    return found


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


PROXIED = headers(
    ("x-remote-user", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"),
    ("X-Remote-Group", "system:serviceaccounts"),
    ("X-Remote-Group", "b"),
    ("X-Remote-Extra-Authentication.kubernetes.io%2Fcredential-Id", "JTI=1"),
)


async def test_the_front_proxy_says_for_whom_it_asks(access: Authorizer) -> None:
    user = await access.user(PROXIED, "front-proxy")
    assert user.name == "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    assert user.groups == ("system:serviceaccounts", "b", "system:authenticated")
    assert user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=1",)}


@pytest.mark.parametrize("name", [None, "somebody"])
async def test_nobody_else_is_believed(access: Authorizer, name: str | None) -> None:
    with pytest.raises(Failure) as caught:
        await access.user(PROXIED, name)
    assert caught.value.status == 401


async def test_before_the_front_proxy_is_known_nobody_is(access: Authorizer) -> None:
    access.front = None
    with pytest.raises(Failure):
        await access.user(PROXIED, "front-proxy")


async def test_a_token_is_asked_about_once_and_again_after_a_while(
    access: Authorizer, server: Server
) -> None:
    server.tokens["t1"] = User("ana", ("system:authenticated",))
    for _ in range(3):
        assert (await access.user(headers(("Authorization", "Bearer t1")), None)).name == "ana"
    assert server.asked == ["t1"]
    server.at += REMEMBER_S + 1
    del server.tokens["t1"]
    with pytest.raises(Failure):
        await access.user(headers(("Authorization", "Bearer t1")), None)


async def test_who_is_remembered_is_not_written_down_with_the_token(
    access: Authorizer, server: Server
) -> None:
    server.tokens["secret-token"] = User("ana")
    await access.user(headers(("Authorization", "Bearer secret-token")), None)
    assert "secret-token" not in repr(access._users._known)


async def test_masters_are_not_asked_about(access: Authorizer, server: Server) -> None:
    server.away = True
    await access.allow(User("admin", ("system:masters",)), WISH)
    assert server.asked == []


async def test_a_verdict_holds_for_this_user_and_this_wish_only(
    access: Authorizer, server: Server
) -> None:
    ana = User("ana", ("a",))
    await access.allow(ana, WISH)
    server.allowed = False
    await access.allow(ana, WISH)
    for user, wish in (
        (User("ana", ("b",)), WISH),
        (ana, Wish("/apis/x", "outra", "sinal_queue_depth")),
    ):
        with pytest.raises(Failure) as caught:
            await access.allow(user, wish)
        assert caught.value.status == 403 and "sinal_queue_depth" in str(caught.value)
    server.at += REMEMBER_S + 1
    with pytest.raises(Failure):
        await access.allow(ana, WISH)


async def test_an_api_server_that_is_away_is_no_verdict(access: Authorizer, server: Server) -> None:
    server.away = True
    with pytest.raises(Failure) as caught:
        await access.allow(User("ana"), WISH)
    assert caught.value.status == 503
    server.away = False
    await access.allow(User("ana"), WISH)


async def test_memory_is_bounded(access: Authorizer, server: Server) -> None:
    for number in range(1_200):
        await access.allow(User(f"u{number}"), WISH)
    assert len(access._verdicts._known) == 1_000
