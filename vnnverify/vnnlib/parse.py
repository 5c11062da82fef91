# SPDX-License-Identifier: Apache-2.0
"""The fast reader of VNN-LIB 1.0 text: one regular expression takes a whole comparison at a time.

It accepts the language of `v1.lark`, which is the readable reference. It keeps a stack of its own
instead of recursing, so that deeply nested text is an error message and not a crash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vnnverify.errors import SpecError
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Declaration, Expr, Number, Or, Term, Variable

__all__ = ["MAX_DEPTH", "Script", "make_arithmetic", "make_leaf", "parse", "place"]

MAX_DEPTH = 200
"""Deepest nesting of parentheses; properties in use reach 4."""

_TOKEN = re.compile(
    r"\(\s*(<=|>=|<|>|=)\s+([^\s();]+)\s+([^\s();]+)\s*\)"  # 1-3: a comparison of two leaves
    r"|(\()"  # 4
    r"|(\))"  # 5
    r"|([^\s();]+)"  # 6: a symbol or number
    r"|\s+|;[^\n]*"
)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\Z")
_VARIABLE = re.compile(r"([XY])_(0|[1-9]\d{0,8})\Z")
_COMPARISONS = frozenset(("<=", ">=", "<", ">", "="))
_IGNORED = frozenset(("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"))


@dataclass(frozen=True, slots=True)
class Script:
    """Declarations and assertions in the order of the text."""

    declarations: tuple[Declaration, ...]
    assertions: tuple[Expr, ...]


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a position."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def make_leaf(text: str) -> Number | Variable | None:
    """A literal or an X_i / Y_i, else None."""
    found = _VARIABLE.match(text)
    if found:
        return Variable(found[1], int(found[2]))
    return Number(text) if _NUMBER.match(text) else None


def make_arithmetic(operator: str, args: tuple[Term, ...]) -> Term:
    """An arithmetic term; the negation of a literal is a literal."""
    if operator == "-" and len(args) == 1 and isinstance(args[0], Number):
        text = args[0].text
        return Number(text[1:] if text.startswith("-") else f"-{text.removeprefix('+')}")
    return Arithmetic(operator, args)


class _Parser:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.leaves: dict[str, Number | Variable] = {}
        self.declarations: list[Declaration] = []
        self.assertions: list[Expr] = []

    def fail(self, message: str, offset: int) -> SpecError:
        line, column = place(self.text, offset)
        return SpecError(message, line=line, column=column, source=self.source)

    def leaf(self, word: str, offset: int) -> Number | Variable:
        found = self.leaves.get(word)
        if found is None:
            found = make_leaf(word)
            if found is None:
                raise self.fail(f"expected a number or a variable X_i or Y_i, found {word[:40]!r}", offset)
            self.leaves[word] = found
        return found

    def run(self) -> Script:
        stack: list[tuple[int, list[object]]] = []  # (offset of the parenthesis, items)
        leaves = self.leaves
        for match in _TOKEN.finditer(self.text):
            kind = match.lastindex
            if kind == 3:
                if not stack:
                    raise self.fail("a comparison must stand inside (assert …)", match.start())
                operator, a, b = match.group(1, 2, 3)
                lhs, rhs = leaves.get(a), leaves.get(b)
                if lhs is None:
                    lhs = self.leaf(a, match.start(2))
                if rhs is None:
                    rhs = self.leaf(b, match.start(3))
                stack[-1][1].append(Compare(operator, lhs, rhs, match.start()))
            elif kind == 4:
                if len(stack) >= MAX_DEPTH:
                    raise self.fail(f"parentheses nested deeper than {MAX_DEPTH} levels", match.start())
                stack.append((match.start(), []))
            elif kind == 5:
                if not stack:
                    raise self.fail("unexpected )", match.start())
                offset, items = stack.pop()
                if stack:
                    stack[-1][1].append(self.build(items, offset, len(stack)))
                else:
                    self.statement(items, offset)
            elif kind == 6:
                if not stack:
                    raise self.fail(f"expected (, found {match[6][:40]!r}", match.start())
                stack[-1][1].append((match[6], match.start()))
        if stack:
            raise self.fail("this parenthesis is never closed", stack[-1][0])
        return Script(tuple(self.declarations), tuple(self.assertions))

    def build(self, items: list[object], offset: int, depth: int) -> object:
        """An expression or term from what stood between two parentheses."""
        if not items:
            return ()  # the empty argument list of declare-fun
        head = self.word(items[0], offset)
        if head in ("and", "or"):
            args = tuple(self.expression(item, offset) for item in items[1:])
            if not args:
                raise self.fail(f"({head}) needs at least one argument", offset)
            return And(args) if head == "and" else Or(args)
        if head in _COMPARISONS:
            if len(items) != 3:
                raise self.fail(f"({head} …) compares two terms, found {len(items) - 1}", offset)
            return Compare(head, self.term(items[1], offset), self.term(items[2], offset), offset)
        if head in ("+", "-", "*"):
            terms = tuple(self.term(item, offset) for item in items[1:])
            if not terms or (len(terms) == 1 and head != "-"):
                raise self.fail(f"({head} …) needs more arguments", offset)
            return make_arithmetic(head, terms)
        raise self.fail(f"unknown operator {head[:40]!r}; known: and or <= < >= > = + - *", offset)

    def word(self, item: object, offset: int) -> str:
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            return item[0]
        raise self.fail("expected an operator or a command after (", offset)

    def expression(self, item: object, offset: int) -> Expr:
        if isinstance(item, Compare | And | Or):
            return item
        raise self.fail("expected a comparison, (and …) or (or …)", _offset_of(item, offset))

    def term(self, item: object, offset: int) -> Term:
        if isinstance(item, Arithmetic | Number | Variable):
            return item
        if isinstance(item, tuple) and len(item) == 2:
            return self.leaf(item[0], item[1])
        raise self.fail("expected a number, a variable or an arithmetic term", offset)

    def statement(self, items: list[object], offset: int) -> None:
        head = self.word(items[0], offset) if items else ""
        if head == "assert":
            if len(items) != 2:
                raise self.fail(f"(assert …) takes one argument, found {len(items) - 1}", offset)
            self.assertions.append(self.expression(items[1], offset))
        elif head in ("declare-const", "declare-fun"):
            self.declare(head, items, offset)
        elif head == "vnnlib-version":
            raise self.fail("VNN-LIB 2.0 is not supported yet; write the property in VNN-LIB 1.0", offset)
        elif head not in _IGNORED:
            raise self.fail(
                f"unknown command {head[:40]!r}; known: declare-const, declare-fun, assert", offset
            )

    def declare(self, head: str, items: list[object], offset: int) -> None:
        parts = list(items[1:])
        if head == "declare-fun" and len(parts) == 3 and parts[1] == ():
            del parts[1]
        if len(parts) != 2:
            raise self.fail(f"({head} …) takes a name and a sort", offset)
        name, sort = (self.word(part, offset) for part in parts)
        self.declarations.append(Declaration(name, sort, offset))


def _offset_of(item: object, default: int) -> int:
    return item[1] if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], int) else default


def parse(text: str, source: str = "") -> Script:
    """Read VNN-LIB 1.0 text.

    Raises:
        SpecError: a syntax error, with line and column.
    """
    nul = text.find("\0")
    if nul >= 0:
        line, column = place(text, nul)
        raise SpecError("NUL byte in the text; is this a text file?", line=line, column=column, source=source)
    version = re.search(r"^\s*\(\s*vnnlib-version\b", text[:100_000], re.MULTILINE)
    if version:
        line, column = place(text, version.end())
        message = "VNN-LIB 2.0 is not supported yet; write the property in VNN-LIB 1.0"
        raise SpecError(message, line=line, column=column, source=source)
    return _Parser(text.removeprefix("\ufeff"), source).run()
