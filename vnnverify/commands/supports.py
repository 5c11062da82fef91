# SPDX-License-Identifier: Apache-2.0
"""`vnnverify supports`: the capabilities that the VNN-LIB 2.0 standard asks about, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from vnnverify.plugin.capabilities import CAPABILITIES

__all__ = ["command"]

_HELP = {
    "onnx-opset-versions": "The oldest and the newest ONNX operator set.",
    "onnx-element-types": "Element types of declared tensors.",
    "onnx-operators": "ONNX's own operators, those that plugins read too.",
    "vnnlib-versions": "The oldest and the newest version of VNN-LIB.",
    "hidden-node-theories": "NH: no hidden nodes; H: hidden nodes.",
    "multiple-input-output-theories": "SIO: one input and output; MIO: several.",
    "multiple-network-theories": "SNET: one network; MENET, MINET, MNET: equal, isomorphic, any.",
    "multiple-node-comparison-theories": "SNC: comparisons about one node; MNC: about several.",
    "arithmetic-complexity-theories": "BND, OUTC, LIN, POLY: bounds, outputs, linear, polynomial.",
    "optimised-disjunctive-reasoning": "Whether disjunctions are more than a loop over their cases.",
    "serialise-assignments": "Whether `verify --serialise-assignments` is known.",
}
_ALIASES = {"multiple-input-output-theories": ("--multiple-inputs-output-theories",)}


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(CAPABILITIES):
        spellings = (f"--{name}", *_ALIASES.get(name, ()))
        option = click.option(*spellings, name.replace("-", "_"), is_flag=True, help=_HELP[name])
        function = option(function)
    return function


@click.command("supports")
@_flags
def command(**asked: bool) -> None:
    """Print one capability, a value on each line."""
    names = [name for name in CAPABILITIES if asked[name.replace("-", "_")]]
    if len(names) != 1:
        raise click.UsageError("ask for one capability, as in `vnnverify supports --onnx-operators`")
    for line in CAPABILITIES[names[0]]():
        click.echo(line)
