"""Scores of the contract: certain, near, falling with time, adding up, and lowered where several
visitors fit.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sinal_crds.plan import MatchingPlan
from sinal_hub.matching.decision import decide
from sinal_hub.matching.scoring import Score, best
from sinal_hub.model.events import Utm
from sinal_hub.model.evidence import Candidate, Subject
from sinal_hub.model.signals import SIGNALS

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T = 1_750_000_000_000
PLAN = MatchingPlan()


def sale(**said: Any) -> Subject:
    return Subject(**{"first_at": T, "last_at": T, **said})


def click(name: str = "c1", *, before: int = 10 * MINUTE, **known: Any) -> Candidate:
    return Candidate(**{"click_id": name, "first_at": T - before, "last_at": T - before, **known})


def score(subject: Subject, *candidates: Candidate, plan: MatchingPlan = PLAN) -> tuple[str, float]:
    found = best(subject, list(candidates), plan)
    return found.rule, found.score


def chosen(found: Score) -> str | None:
    return found.candidate.click_id if found.candidate else None


@pytest.mark.parametrize(
    ("said", "known", "rule", "expected"),
    [
        ({"click_ids": ["c1"]}, {}, "click_id", 1.0),
        ({"session_ids": ["s"]}, {"session_id": "s"}, "session_id", 1.0),
        ({"emails": ["e"]}, {"emails": ["x", "e"]}, "email", 1.0),
        ({"phones": ["p"]}, {"phones": ["p"]}, "phone", 1.0),
        ({"fbcs": ["fb.1.1.A"]}, {"fbc": "fb.1.1.A"}, "fbc", 0.95),
        ({"fbclids": ["A"]}, {"fbclid": "A"}, "fbclid", 0.95),
        (
            {"ips": ["i"], "user_agents": ["u"]},
            {"ip": "i", "user_agent": "u"},
            "ip_user_agent",
            0.85,
        ),
    ],
)
def test_the_scores_of_the_contract(said: Any, known: Any, rule: str, expected: float) -> None:
    assert score(sale(**said), click(**known)) == (rule, expected)


def test_nothing_in_common_is_no_match() -> None:
    assert score(sale(emails=["a"], ips=["i"]), click(emails=["b"], ip="j")) == ("none", 0.0)
    assert score(sale(emails=["a"])) == ("none", 0.0)


@pytest.mark.parametrize("said", [{"click_ids": ["c1"]}, {"emails": ["e"]}, {"fbclids": ["A"]}])
def test_the_click_window_is_the_funnels(said: Any) -> None:
    known: Any = {"emails": ["e"], "fbclid": "A"}
    plan = MatchingPlan(click_window_s=2 * 86_400)
    assert score(sale(**said), click(before=2 * DAY, **known), plan=plan)[1] > 0.9
    assert score(sale(**said), click(before=2 * DAY + MINUTE, **known), plan=plan) == ("none", 0.0)


def test_a_visit_without_an_ad_click_has_the_shorter_window() -> None:
    subject = sale(emails=["e"])
    assert score(subject, click(before=23 * HOUR, emails=["e"], from_ad=False))[1] == 1.0
    assert score(subject, click(before=25 * HOUR, emails=["e"], from_ad=False))[1] == 0.0


def test_a_click_after_the_sale_did_not_bring_it() -> None:
    assert score(sale(fbclids=["A"]), click(before=-6 * MINUTE, fbclid="A")) == ("none", 0.0)
    assert score(sale(fbclids=["A"]), click(before=-4 * MINUTE, fbclid="A"))[1] == 0.95


def test_our_own_id_beats_the_clocks() -> None:
    assert score(sale(click_ids=["c1"]), click(before=-3 * HOUR)) == ("click_id", 1.0)


@given(st.integers(0, 40 * HOUR), st.integers(0, 40 * HOUR))
# the pair had faded below what its halves say one by one, and was still taken
@example(6_658_681, 8_406_273)
def test_address_and_browser_are_worth_less_with_time(one: int, other: int) -> None:
    near, far = sorted((one, other))
    subject = sale(ips=["i"], user_agents=["u"])
    assert (
        score(subject, click(before=near, ip="i", user_agent="u"))[1]
        >= score(subject, click(before=far, ip="i", user_agent="u"))[1]
    )


@pytest.mark.parametrize(
    ("age", "decision"),
    [
        (30 * MINUTE, "match"),
        (31 * MINUTE, "review"),
        (6 * HOUR, "unmatched"),
        (3 * DAY, "unmatched"),
    ],
)
def test_half_an_hour_is_the_limit_of_a_match_by_address(age: int, decision: str) -> None:
    _, found = score(sale(ips=["i"], user_agents=["u"]), click(before=age, ip="i", user_agent="u"))
    assert decide(found, PLAN) == decision


def test_weak_signals_add_up_as_independent_evidence() -> None:
    subject = sale(ips=["i"], utms=["campaign=x"], products=["p"])
    candidate = click(before=5 * HOUR, ip="i", utm=Utm(campaign="x"), products=["p"])
    by_name = {signal.name: signal.weight for signal in SIGNALS}
    expected = 1 - (1 - by_name["ip"]) * (1 - by_name["utm"]) * (1 - by_name["product"])
    rule, found = score(subject, candidate)
    assert rule == "weighted"
    assert found == pytest.approx(expected, abs=1e-4)


def test_source_and_medium_alone_say_nothing() -> None:
    assert score(
        sale(utms=["source=fb", "medium=cpc"]), click(utm=Utm(source="fb", medium="cpc"))
    ) == ("none", 0.0)


hints = st.fixed_dictionaries(
    {},
    optional={
        "ips": st.just(["i"]),
        "user_agents": st.just(["u"]),
        "products": st.just(["p"]),
        "utms": st.just(["campaign=x", "content=y"]),
    },
)


@given(hints, st.integers(31 * MINUTE, 20 * HOUR))
def test_hints_never_make_a_match(said: Any, age: int) -> None:
    candidate = click(
        before=age, ip="i", user_agent="u", products=["p"], utm=Utm(campaign="x", content="y")
    )
    assert score(sale(**said), candidate)[1] < PLAN.match_threshold


@pytest.mark.parametrize("visitors", [2, 3, 10])
@pytest.mark.parametrize("agent", ["u", "other"])
def test_a_shared_address_makes_no_match(visitors: int, agent: str) -> None:
    subject = sale(ips=["i"], user_agents=["u"], utms=["campaign=x"], products=["p"])
    ours = click("ours", ip="i", user_agent="u", utm=Utm(campaign="x"), products=["p"])
    others = [
        click(f"o{n}", ip="i", user_agent=agent, utm=Utm(campaign="x"), products=["p"])
        for n in range(visitors - 1)
    ]
    assert score(subject, ours, *others)[1] < PLAN.match_threshold


def test_two_visitors_that_cannot_be_told_apart_are_no_match() -> None:
    subject = sale(ips=["i"], user_agents=["u"])
    found = best(subject, [click(name, ip="i", user_agent="u") for name in ("a", "b")], PLAN)
    assert decide(found.score, PLAN) == "unmatched"
    assert found.runner_up is not None


def test_a_tie_by_the_same_ad_click_lowers_the_score() -> None:
    """A link with its fbclid was passed on: the click is the same, the visitors are not."""
    subject = sale(fbclids=["A"])
    one, other = click("a", fbclid="A", fbp="1"), click("b", fbclid="A", fbp="2", ip="j")
    assert score(subject, one, other)[1] < score(subject, one)[1]


def test_clicks_of_one_visitor_are_no_tie_and_the_last_counts() -> None:
    subject = sale(ips=["i"], user_agents=["u"])
    early = click("early", before=20 * MINUTE, ip="i", user_agent="u", fbp="1")
    late = click("late", before=5 * MINUTE, ip="i", user_agent="u", fbp="1")
    found = best(subject, [early, late], PLAN)
    assert (chosen(found), found.score) == ("late", 0.85)


def test_the_more_telling_rule_wins_between_certain_ones() -> None:
    subject = sale(click_ids=["c1"], emails=["e"])
    found = best(subject, [click("c1"), click("c2", before=MINUTE, emails=["e"])], PLAN)
    assert (chosen(found), found.rule, found.score) == ("c1", "click_id", 1.0)
    assert found.runner_up is not None
    assert (found.runner_up.click_id, found.runner_up.rule) == ("c2", "email")


def test_another_persons_email_turns_a_match_by_address_into_a_review() -> None:
    subject = sale(ips=["i"], user_agents=["u"], emails=["ana"])
    _, found = score(subject, click(ip="i", user_agent="u", emails=["bia"]))
    assert decide(found, PLAN) == "review"


def test_disagreement_is_shown() -> None:
    found = best(sale(click_ids=["c1"], emails=["ana"]), [click(emails=["bia"])], PLAN)
    assert [(signal.name, signal.agrees) for signal in found.signals][:2] == [
        ("click_id", True),
        ("email", False),
    ]


anything = st.builds(
    click,
    st.sampled_from(["a", "b", "c", "d"]),
    before=st.integers(-10 * MINUTE, 10 * DAY),
    session_id=st.sampled_from([None, "s"]),
    fbclid=st.sampled_from([None, "A", "B"]),
    fbp=st.sampled_from([None, "1", "2"]),
    ip=st.sampled_from([None, "i", "j"]),
    user_agent=st.sampled_from([None, "u", "v"]),
    emails=st.lists(st.sampled_from(["e", "f"]), max_size=2, unique=True),
)
buyers = st.builds(
    sale,
    session_ids=st.sampled_from([[], ["s"]]),
    fbclids=st.sampled_from([[], ["A"], ["A", "B"]]),
    fbps=st.sampled_from([[], ["1"]]),
    ips=st.sampled_from([[], ["i"]]),
    user_agents=st.sampled_from([[], ["u"]]),
    emails=st.sampled_from([[], ["e"]]),
)


@given(buyers, st.lists(anything, max_size=6), st.randoms())
def test_scores_are_bounded_and_do_not_depend_on_the_sequence(
    subject: Subject, candidates: list[Candidate], random: Any
) -> None:
    found = best(subject, candidates, PLAN)
    assert 0.0 <= found.score <= 1.0
    assert (found.candidate is None) == (found.rule == "none") == (found.score == 0.0)
    # Rows of one visitor with the same moment have no sequence of their own.
    distinct = {candidate.click_id: candidate for candidate in candidates}
    ordered = list(distinct.values())
    expected = best(subject, ordered, PLAN)
    random.shuffle(ordered)
    again = best(subject, ordered, PLAN)
    assert (chosen(again), again.score, again.rule) == (
        chosen(expected),
        expected.score,
        expected.rule,
    )


@given(buyers, anything)
def test_a_competitor_that_fits_as_well_never_raises_the_score(
    subject: Subject, candidate: Candidate
) -> None:
    rival = msgspec.structs.replace(candidate, click_id="rival")
    assert best(subject, [candidate, rival], PLAN).score <= best(subject, [candidate], PLAN).score
