"""A route that is spoilt again and again is put right ever more slowly, and another wish begins
anew.
"""

from __future__ import annotations

from sinal_operator.cluster.routes.patience import FORGIVEN_S, FREE, PAUSE, Patience

KEY = ("Ingress", "sinal", "sinal-t-loja")


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_repairs_come_at_once_and_later_ones_ever_more_slowly() -> None:
    patience = Patience(clock := Clock())
    waits = []
    for _ in range(12):
        waits.append(wait_s := patience.wait_s(KEY, "mark"))
        clock.now += wait_s
        patience.wrote(KEY, "mark")
    assert waits[: FREE + 1] == [0.0] * (FREE + 1)
    assert waits[FREE + 1 : FREE + 4] == [2.0, 4.0, 8.0]
    assert waits[-1] == PAUSE.cap_s


def test_another_wish_a_calm_while_and_a_new_route_begin_anew() -> None:
    patience = Patience(clock := Clock())
    for _ in range(8):
        patience.wrote(KEY, "mark")
    assert patience.wait_s(KEY, "mark") > 0
    assert patience.wait_s(KEY, "another") == 0
    clock.now += FORGIVEN_S
    assert patience.wait_s(KEY, "mark") == 0
    patience.wrote(KEY, "mark")
    assert patience.wait_s(KEY, "mark") == 0
    for _ in range(8):
        patience.wrote(KEY, "mark")
    patience.keep(set())
    assert patience.wait_s(KEY, "mark") == 0
