# SPDX-License-Identifier: Apache-2.0
"""The reader that follows the grammar `v1.lark` word for word. Slow; the tests hold `parse` against it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer

from vnnverify.vnnlib.ast import And, Compare, Declaration, Expr, Number, Or, Term
from vnnverify.vnnlib.parse import Script, make_arithmetic, make_leaf

__all__ = ["parse_by_grammar"]


class _Build(Transformer[Token, Any]):
    def __init__(self) -> None:
        super().__init__()
        self.declarations: list[Declaration] = []
        self.assertions: list[Expr] = []

    def declare(self, items: list[Token]) -> None:
        self.declarations.append(Declaration(str(items[0]), str(items[-1])))

    def assertion(self, items: list[Expr]) -> None:
        self.assertions.append(items[0])

    def conjunction(self, items: list[Expr]) -> Expr:
        return And(tuple(items))

    def disjunction(self, items: list[Expr]) -> Expr:
        return Or(tuple(items))

    def compare(self, items: list[Any]) -> Expr:
        return Compare(str(items[0]), items[1], items[2])

    def number(self, items: list[Token]) -> Term:
        return Number(str(items[0]))

    def variable(self, items: list[Token]) -> Term:
        leaf = make_leaf(str(items[0]))
        if leaf is None:
            raise ValueError(f"not a variable: {items[0]}")
        return leaf

    def plus(self, items: list[Term]) -> Term:
        return make_arithmetic("+", tuple(items))

    def minus(self, items: list[Term]) -> Term:
        return make_arithmetic("-", tuple(items))

    def times(self, items: list[Term]) -> Term:
        return make_arithmetic("*", tuple(items))


@cache
def _grammar() -> Lark:
    text = files("vnnverify.vnnlib").joinpath("v1.lark").read_text(encoding="utf-8")
    return Lark(text, start="script", parser="lalr")


def parse_by_grammar(text: str) -> Script:
    """The script of a text, with all offsets 0. Raises lark's own errors."""
    build = _Build()
    build.transform(_grammar().parse(text))
    return Script(tuple(build.declarations), tuple(build.assertions))
