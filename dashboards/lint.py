"""What is wrong with a query, said in sentences: it does not parse, or names a metric or label that
there is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import promql_parser as promql

# What Grafana puts in the place of its variables.
_GRAFANA = {"$__rate_interval": "5m", "$__range": "6h"}
_MADE = frozenset({"label_replace", "label_join"})  # functions that make labels


def plain(query: str) -> str:
    """The query as Prometheus would get it."""
    for name, value in _GRAFANA.items():
        query = query.replace(name, value)
    return query


def faults(query: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Everything that is wrong with it."""
    try:
        tree = promql.parse(plain(query))
    except ValueError as error:
        return [f"does not parse: {error}"]
    return [*_selectors(tree, known), *_groupings(tree, known)]


def selectors(tree: Any) -> list[Any]:
    """Every selector of series in an expression."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(tree, pre_visit=visit)
    return found


def _selectors(tree: Any, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for selector in selectors(tree):
        if selector.name not in known:
            yield f"{selector.name}: no such metric"
            continue
        used = {matcher.name for matcher in selector.matchers.matchers}
        yield from (
            f"{selector.name} has no label {label}" for label in sorted(used - known[selector.name])
        )


def _groupings(tree: Any, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Labels that an aggregation or a join names and that nothing below it has."""
    found: list[str] = []

    def visit(node: Any) -> None:
        for labels, below in _named(node):
            there = _labels(below, known)
            found.extend(
                f"nothing below has the label {label}" for label in labels if label not in there
            )

    promql.walk(tree, pre_visit=visit)
    return found


def _named(node: Any) -> Iterator[tuple[Iterable[str], list[Any]]]:
    """Labels that a node names, and what has to have them."""
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
        yield node.modifier.labels, [node.expr]
    if (
        isinstance(node, promql.BinaryExpr)
        and node.modifier is not None
        and node.modifier.matching is not None
    ):
        for side in (node.lhs, node.rhs):
            yield node.modifier.matching.labels, [side]


def _labels(below: list[Any], known: Mapping[str, frozenset[str]]) -> set[str]:
    there: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.Call) and node.func.name in _MADE:
            there.add(node.args[1].val)

    for tree in below:
        promql.walk(tree, pre_visit=visit)
        for selector in selectors(tree):
            there |= known.get(selector.name, frozenset())
    return there


def unbounded(query: str, known: Mapping[str, frozenset[str]], labels: Iterable[str]) -> set[str]:
    """Those of the labels that the result may have a series for each value of, however many there
    are.
    """
    return set(labels) & _open(promql.parse(plain(query)), known)


def _open(node: Any, known: Mapping[str, frozenset[str]]) -> set[str]:
    match node:
        case promql.VectorSelector():
            one = {
                matcher.name
                for matcher in node.matchers.matchers
                if str(matcher.op) == "MatchOp.Equal"
            }
            found = set(known.get(node.name or "", frozenset())) - one
        case promql.MatrixSelector():
            found = _open(node.vector_selector, known)
        case promql.AggregateExpr():
            kept = set(node.modifier.labels) if node.modifier is not None else set()
            found = set() if str(node.op) in ("topk", "bottomk") else _open(node.expr, known) & kept
        case promql.BinaryExpr():
            found = _open_pair(node, known)
        case promql.Call():
            found = set().union(*(_open(argument, known) for argument in node.args))
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            found = _open(node.expr, known)
        case _:
            found = set()
    return found


def _open_pair(node: Any, known: Mapping[str, frozenset[str]]) -> set[str]:
    left, right = _open(node.lhs, known), _open(node.rhs, known)
    if str(node.op) == "or":
        return left | right
    if str(node.op) == "and" and node.modifier is not None and node.modifier.matching is not None:
        return left - (set(node.modifier.matching.labels) - right)
    return left if left else right
