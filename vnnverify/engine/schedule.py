# SPDX-License-Identifier: Apache-2.0
"""Which backends have a turn, in which order, with which share of the time.

The order is read off the query and off what backends declare in their `BackendInfo`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vnnverify.ir import Elementwise
from vnnverify.plugin.hookspecs import BackendInfo
from vnnverify.query import Query
from vnnverify.verdict import Guarantee

__all__ = ["PlannedTurn", "automatic", "sequence"]

FEW_INPUTS, FEW_NONLINEAR = 16, 4000
"""Up to so many varying inputs, of a network of up to so many nonlinear neurons, halving the input box
decides most queries."""
ATTACK_SHARE, ATTACK_SECONDS, ATTACK_SECONDS_FEW = 0.05, 1.0, 0.3
"""Of the first attack: share of the time, and the seconds that it is capped at; the latter where few inputs
vary."""
TRUNCATED_SHARE, WHOLE_SHARE = 0.8, 0.3
"""Of trying every input: where all are cut to whole numbers by the network, where they are declared whole."""
FIRST_SHARE = 0.1
"""Of a first look by each that proves, where few inputs vary."""
SPLITTING_SHARE, PROVING_SHARE, PRECISE_SHARE = 0.6, 0.8, 0.3
"""Then of those that halve the input box only, of others that prove, and of each of the two in float64."""
WITH_ENCODING, WITHOUT_ENCODING = 0.8, 0.94
"""Of those that prove where many inputs vary: if an exact encoding has a chance, and if it has none."""
ENCODING_SHARE, HOPELESS_SHARE = 0.8, 0.4
"""Of exact encodings where they have a chance, and where they have none."""


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One backend's turn: a fraction of the time then left, and seconds it is capped at.

    A `precise` one is in float64, and only if the turn before came to its end in a coarser type.
    """

    backend: str
    share: float = 1.0
    at_most: float = float("inf")
    precise: bool = False


@dataclass(frozen=True, slots=True)
class _Roles:
    """The installed backends by what they declare; those that declare nothing have no part, nor have those
    that prove without being complete: what one pass of bounds shows a complete search shows at its root."""

    attacks: tuple[BackendInfo, ...]  # refute, and prove nothing
    finite: tuple[BackendInfo, ...]  # try every input
    splitting: tuple[BackendInfo, ...]  # prove, where few inputs vary
    encoding: tuple[BackendInfo, ...]  # prove, small networks best
    proving: tuple[BackendInfo, ...]  # prove anything else

    @classmethod
    def of(cls, installed: Iterable[BackendInfo]) -> _Roles:
        usable = [info for info in installed if info.guarantee != Guarantee.STATISTICAL.value]
        provers = [info for info in usable if info.proves and info.complete and not info.finite_inputs]
        scaling = [info for info in provers if info.few_inputs is None]
        return cls(
            attacks=tuple(info for info in usable if info.attacks),
            finite=tuple(info for info in usable if info.finite_inputs),
            splitting=tuple(info for info in provers if info.few_inputs is not None),
            encoding=tuple(info for info in scaling if info.few_neurons is not None),
            proving=tuple(info for info in scaling if info.few_neurons is None),
        )


def automatic(query: Query, installed: Iterable[BackendInfo]) -> list[PlannedTurn]:
    """The default order: refute cheaply, prove, be exact, refute again."""
    roles = _Roles.of(sorted(installed, key=lambda info: info.name))
    nonlinear = sum(n.output.size for n in query.graph.nodes if isinstance(n.op, Elementwise))
    few = query.varying <= FEW_INPUTS and nonlinear <= FEW_NONLINEAR
    planned = _together(roles.attacks, ATTACK_SHARE, ATTACK_SECONDS_FEW if few else ATTACK_SECONDS)
    if query.truncated or query.layout.whole:
        planned += _together(roles.finite, TRUNCATED_SHARE if query.truncated else WHOLE_SHARE)
    splitting = [
        info
        for info in roles.splitting
        if info.few_inputs is not None and query.varying <= info.few_inputs and nonlinear <= FEW_NONLINEAR
    ]
    if few:
        planned += _proofs_few(splitting, roles.proving)
        planned += _together(roles.encoding, ENCODING_SHARE)
    else:
        chance = any(nonlinear <= (info.few_neurons or 0) for info in roles.encoding)
        planned += _together(splitting, PRECISE_SHARE)
        planned += _together(roles.proving, WITH_ENCODING if chance else WITHOUT_ENCODING)
        planned += _together(roles.encoding, ENCODING_SHARE if chance else HOPELESS_SHARE)
    return [*planned, *_together(roles.attacks, 1.0)]


def _proofs_few(splitting: Sequence[BackendInfo], proving: Sequence[BackendInfo]) -> list[PlannedTurn]:
    """The turns of those that prove where few inputs vary: a first look, the search, and the search again in
    float64 if float32 was too coarse."""
    return [
        *_together(splitting, FIRST_SHARE),
        *_together(proving, FIRST_SHARE),
        *_together(splitting, SPLITTING_SHARE),
        *_together(proving, PROVING_SHARE),
        *_together(splitting, PRECISE_SHARE, precise=True),
        *_together(proving, PRECISE_SHARE, precise=True),
    ]


def _together(
    group: Sequence[BackendInfo], share: float, at_most: float = float("inf"), *, precise: bool = False
) -> list[PlannedTurn]:
    """A turn for each, which take this share of the time then left together: equal parts of it."""
    part = share / max(1, len(group))
    return [PlannedTurn(info.name, part / (1 - k * part), at_most, precise) for k, info in enumerate(group)]


def sequence(names: Sequence[str]) -> list[PlannedTurn]:
    """The named backends in turn: equal shares of the time, what one leaves goes to the next."""
    return [PlannedTurn(name, 1.0 / (len(names) - index)) for index, name in enumerate(names)]
