# SPDX-License-Identifier: Apache-2.0
"""The fast reader of VNN-LIB 1.0 text: one regular expression takes a whole comparison at a time.

It accepts the language of `v1.lark`, which is the readable reference. It keeps a stack of its own
instead of recursing, so that deeply nested text is an error message and not a crash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from vnnverify.errors import SpecError
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Declaration, Expr, Number, Or, Term, Variable
from vnnverify.vnnlib.collector import collector_paused
from vnnverify.vnnlib.number import MAX_DIGITS

__all__ = ["ABSENT", "MAX_DEPTH", "Script", "make_arithmetic", "make_leaf", "parse", "place"]

MAX_DEPTH = 10_000
"""Deepest nesting of parentheses; properties in use reach 4."""

_SHARED_COMPARISONS = 50_000
"""Comparisons kept to be shared by equal ones. Big properties repeat few; a bound keeps memory low
where none repeats."""

_SPACE = r"\s*+"
_WORD = r"""[^\s();"|]++"""
_TOKEN = re.compile(
    rf"(\({_SPACE}assert\s++)?\({_SPACE}(<=|>=|<|>|=)\s++({_WORD})\s++({_WORD}){_SPACE}\){_SPACE}"
    rf"(?(1)\){_SPACE})"  # 1-4: a comparison of two leaves, or (assert …) of one
    rf"|\({_SPACE}declare-const\s++({_WORD})\s++({_WORD}){_SPACE}\){_SPACE}"  # 5-6: a declaration
    rf"|(\(){_SPACE}"  # 7
    rf"|(\)){_SPACE}"  # 8
    rf"""|({_WORD}|"[^"]*+"|\|[^|]*+\|){_SPACE}"""  # 9: a symbol, number or quoted text
    rf"""|(["|])"""  # 10: a quotation that never ends
    rf"|\s++|;[^\r\n]*+{_SPACE}",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)
_LONG_EXPONENT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d+", re.ASCII)
_VARIABLE = re.compile(r"([XY])_(0|[1-9]\d{0,8})\Z", re.ASCII)
_COMPARISONS = frozenset(("<=", ">=", "<", ">", "="))
_QUESTIONS = frozenset(("check-sat", "exit", "get-model", "get-value"))
_IGNORED = _QUESTIONS | {"echo", "get-info", "set-info", "set-logic", "set-option"}
_SECOND_VERSION = frozenset(
    ("declare-network", "declare-input", "declare-hidden", "declare-output", "vnnlib-version")
)
_COMMANDS = frozenset(("assert", "declare-const", "declare-fun")) | _IGNORED | _SECOND_VERSION
_EXPRESSIONS = frozenset((Compare, And, Or))

ABSENT = {
    "let": "write out what its names stand for",
    "not": "turn the comparison round, as (> a b) for (not (<= a b))",
    "=>": "write (or …) of the conclusion and the opposite of the premise",
    "ite": "write its two cases as (or (and …) (and …))",
    "xor": "write its two cases as (or (and …) (and …))",
    "abs": "write its two cases as (or (and …) (and …))",
    "min": "compare with each of its arguments",
    "max": "compare with each of its arguments",
    "distinct": "write (or (< a b) (> a b))",
    "/": "multiply by a decimal instead",
    "forall": "a property speaks of one free choice of all variables",
    "exists": "a property speaks of one free choice of all variables",
    "define-fun": "write out what it stands for",
}
"""Words of SMT-LIB that VNN-LIB has not, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Script:
    """Declarations and assertions in the order of the text, and where they stand."""

    declarations: tuple[Declaration, ...]
    assertions: tuple[Expr, ...]
    offsets: tuple[int, ...] = field(default=(), compare=False)  # of the assertions
    used: tuple[tuple[Variable, int], ...] = field(default=(), compare=False)  # first use of each variable


class _Word(NamedTuple):
    text: str
    offset: int


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a position."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def make_leaf(text: str) -> Number | Variable | None:
    """A literal or an X_i / Y_i, else None."""
    if text[0] in "XY":
        found = _VARIABLE.match(text)
        return Variable(found[1], int(found[2])) if found else None
    return Number(text) if _NUMBER.match(text) and len(text) <= MAX_DIGITS else None


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
        self.used: list[tuple[Variable, int]] = []
        self.declarations: list[Declaration] = []
        self.assertions: list[Expr] = []
        self.offsets: list[int] = []
        self.question = ""  # the command that ended the property

    def fail(self, message: str, offset: int) -> SpecError:
        """An error at this offset of the text, to be raised."""
        line, column = place(self.text, offset)
        return SpecError(message, line=line, column=column, source=self.source)

    def run(self) -> Script:
        """Read the whole text."""
        stack: list[tuple[int, list[object]]] = []  # (offset of the parenthesis, items before the inner one)
        offset, items = 0, list[object]()  # of the innermost open parenthesis
        shared: dict[str, Compare] = {}
        share = shared.get
        for match in _TOKEN.finditer(self.text):
            kind = match.lastindex
            if kind == 4:
                comparison = share(match[0])
                if comparison is None:
                    comparison = self.comparison(match)
                    if len(shared) < _SHARED_COMPARISONS:
                        shared[match[0]] = comparison
                if match[1] is not None:
                    self.assertion([comparison], match.start(), len(stack))
                elif stack:
                    items.append(comparison)
                else:
                    raise self.fail("a comparison must stand inside (assert …)", match.start())
            elif kind == 6:
                self.declaration(match[5], match[6], match.start(), len(stack))
            elif kind == 7:
                if len(stack) >= MAX_DEPTH:
                    raise self.fail(f"parentheses nested deeper than {MAX_DEPTH:,} levels", match.start())
                if items and type(items[0]) is _Word and items[0].text in ABSENT:
                    raise self.absent(items[0].text, offset)
                stack.append((offset, items))
                offset, items = match.start(), []
            elif kind == 8:
                if not stack:
                    raise self.fail("this ) closes nothing; remove it", match.start())
                if len(stack) == 1:
                    self.statement(items, offset)
                    offset, items = stack.pop()
                else:
                    built = self.build(items, offset)
                    offset, items = stack.pop()
                    items.append(built)
            elif kind == 9:
                if not stack:
                    raise self.fail(self.outside(match[9]), match.start())
                items.append(_Word(match[9], match.start()))
            elif kind == 10:
                raise self.fail(f"the quotation that {match[10]} opens here never ends", match.start())
        if stack:
            raise self.fail("this parenthesis is never closed", stack[1][0] if len(stack) > 1 else offset)
        return Script(tuple(self.declarations), tuple(self.assertions), tuple(self.offsets), tuple(self.used))

    def outside(self, word: str) -> str:
        """What is wrong with a word that stands in no parentheses."""
        if self.declarations or self.assertions:
            return f"expected (, found {word[:40]!r}"
        return f"this is not VNN-LIB: it begins with {word[:40]!r}, not with (declare-const X_0 Real)"

    def comparison(self, match: re.Match[str]) -> Compare:
        """The comparison of two leaves that a token holds in one."""
        operator, a, b = match.group(2, 3, 4)
        known = self.leaves.get
        lhs, rhs = known(a), known(b)
        if lhs is None:
            lhs = self.leaf(a, match.start(3))
        if rhs is None:
            rhs = self.leaf(b, match.start(4))
        return Compare(operator, lhs, rhs, match.start(2) - 1)

    def leaf(self, word: str, offset: int) -> Number | Variable:
        """The number or variable that a word stands for; variables are noted as used."""
        found = self.leaves.get(word)
        if found is None:
            found = make_leaf(word)
            if found is None:
                raise self.bad_leaf(word, offset)
            self.leaves[word] = found
            if isinstance(found, Variable):
                self.used.append((found, offset))
        return found

    def bad_leaf(self, word: str, offset: int) -> SpecError:
        """The error for a word that is neither."""
        if word[0].isdigit() or word[0] in "+-.":
            if len(word) > MAX_DIGITS:
                return self.fail(
                    f"a number of {len(word):,} characters; at most {MAX_DIGITS:,} are read", offset
                )
            if _LONG_EXPONENT.fullmatch(word):
                return self.fail(f"{word[:40]}: exponents of more than 4 digits are not read", offset)
            return self.fail(f"malformed number {word[:40]!r}; write it as -0.5 or 1e-06", offset)
        return self.fail(f"variable {word[:40]!r} is not declared; only X_i and Y_i can be", offset)

    def build(self, items: list[object], offset: int) -> object:
        """An expression or term from what stood between two parentheses."""
        if not items:
            return ()  # the empty argument list of declare-fun
        head = self.head(items, offset)
        if head in ("and", "or"):
            args = self.expressions(items[1:], offset)
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
        if head in _SECOND_VERSION:
            raise self.second_version(offset)
        if head in _COMMANDS:
            self.check_statement(head, offset, 1)
        if head in ABSENT:
            raise self.absent(head, offset)
        if head in ("==", "!="):
            instead = "=" if head == "==" else "(or (< a b) (> a b))"
            raise self.fail(f"{head} is of VNN-LIB 2.0; write {instead}", offset)
        raise self.fail(f"unknown operator {head[:40]!r}; known: and or <= < >= > = + - *", offset)

    def absent(self, word: str, offset: int) -> SpecError:
        """The error for a word of SMT-LIB that VNN-LIB has not."""
        return self.fail(f"({word} …) is not in VNN-LIB; {ABSENT[word]}", offset)

    def head(self, items: list[object], offset: int) -> str:
        """The word that a list begins with."""
        if items and isinstance(items[0], _Word):
            return items[0].text
        raise self.fail("expected an operator or a command after (", offset)

    def expressions(self, items: list[object], offset: int) -> tuple[Expr, ...]:
        """Items as conditions."""
        args = tuple(items)
        if not _EXPRESSIONS.issuperset(map(type, args)):
            wrong = next(arg for arg in args if type(arg) not in _EXPRESSIONS)
            where = wrong.offset if isinstance(wrong, _Word) else offset
            raise self.fail("expected a comparison, (and …) or (or …) here", where)
        return args  # type: ignore[return-value]  # just tested, all at once for speed

    def term(self, item: object, offset: int) -> Term:
        """An item as a term."""
        if isinstance(item, _Word):
            return self.leaf(item.text, item.offset)
        if isinstance(item, Arithmetic | Number | Variable):
            return item
        raise self.fail("expected a number, a variable or an arithmetic term", offset)

    def statement(self, items: list[object], offset: int) -> None:
        """Carry out one statement of the text."""
        head = self.head(items, offset)
        if head in _SECOND_VERSION and not _is_first_version(items):
            raise self.second_version(offset)
        if head == "assert":
            self.assertion(items[1:], offset, 0)
        elif head in ("declare-const", "declare-fun"):
            self.declare(head, items, offset)
        elif head in _QUESTIONS:
            self.question = head
        elif head in ABSENT:
            raise self.absent(head, offset)
        elif head not in _COMMANDS:
            known = "declare-const, declare-fun, assert"
            raise self.fail(f"unknown command {head[:40]!r}; known: {known}", offset)

    def assertion(self, items: list[object], offset: int, depth: int) -> None:
        """Note an assertion."""
        self.check_statement("assert", offset, depth)
        args = self.expressions(items, offset)
        if len(args) != 1:
            raise self.fail(f"(assert …) takes one argument, found {len(args)}", offset)
        self.assertions.append(args[0])
        self.offsets.append(offset)

    def declare(self, head: str, items: list[object], offset: int) -> None:
        """Carry out a declaration."""
        parts = items[1:]
        if head == "declare-fun" and len(parts) == 3 and parts[1] == ():
            del parts[1]
        if len(parts) != 2 or not (isinstance(parts[0], _Word) and isinstance(parts[1], _Word)):
            form = "(declare-const X_0 Real)" if head == "declare-const" else "(declare-fun X_0 () Real)"
            raise self.fail(f"({head} …) takes a name and a sort, as in {form}", offset)
        self.declaration(parts[0].text, parts[1].text, offset, 0)

    def declaration(self, name: str, sort: str, offset: int, depth: int) -> None:
        """Note a variable and its sort."""
        self.check_statement("declare-const", offset, depth)
        self.declarations.append(Declaration(name, sort, offset))

    def second_version(self, offset: int) -> SpecError:
        """The error for a statement of VNN-LIB 2.0 in a text of the first."""
        return self.fail(
            "a statement of VNN-LIB 2.0 in a text of 1.0; start it with (vnnlib-version <2.0>)", offset
        )

    def check_statement(self, head: str, offset: int, depth: int) -> None:
        """Refuse a statement that is out of place."""
        if depth:
            raise self.fail(
                f"({head} …) inside a parenthesis that is still open; is a ) missing before?", offset
            )
        if self.question:
            raise self.fail(f"({head} …) after ({self.question}); a file asks one question", offset)


def _is_first_version(items: list[object]) -> bool:
    words = [item.text.strip("<>") for item in items if isinstance(item, _Word)]
    return len(words) == 2 and words[0] == "vnnlib-version" and words[1].split(".")[0] == "1"


def parse(text: str, source: str = "") -> Script:
    """Read VNN-LIB 1.0 text.

    Raises:
        SpecError: a syntax error, with line and column.
    """
    nul = text.find("\0")
    if nul >= 0:
        line, column = place(text, nul)
        raise SpecError("NUL byte in the text; is this a text file?", line=line, column=column, source=source)
    with collector_paused():
        return _Parser(text.removeprefix("\ufeff"), source).run()
