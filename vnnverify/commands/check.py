# SPDX-License-Identifier: Apache-2.0
"""`vnnverify check`: does a result's witness stand up to onnxruntime and the property's text?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from vnnverify.commands.networks import read_networks
from vnnverify.errors import OptionError, SpecError

if TYPE_CHECKING:
    from vnnverify.query import Replay
    from vnnverify.results import Witness

__all__ = ["command"]


@click.command("check")
@click.argument("result")
@click.argument("query", required=False)
@click.option(
    "--network", "networks", multiple=True, metavar="[NAME=]MODEL",
    help="The ONNX model; default: the ones the result names.",
)  # fmt: skip
def command(result: str, query: str | None, networks: tuple[str, ...]) -> int:
    """Replay the witness in RESULT (a JSON line, or a VNN-COMP or VNN-LIB 2.0 result file).

    Prints `valid`, or `invalid: ` and why (exit code 1).
    """
    import torch

    from vnnverify.inputs.dialect import is_second_file
    from vnnverify.inputs.files import read_bytes
    from vnnverify.inputs.roles import check_roles
    from vnnverify.loading.loader import load_query
    from vnnverify.results.jsonl import read_report
    from vnnverify.results.vnncomp import read_witness
    from vnnverify.results.vnnlib2 import assigned, read_assignment

    models = read_networks(networks)
    text = read_bytes(result).decode(errors="replace")
    if text.lstrip().startswith("{"):
        report = read_report(text.strip().splitlines()[-1], result)
        witness, models, query = report.witness, models or report.model, query or report.query
        if witness is None:
            raise SpecError(
                f"verdict is {report.verdict.value}; only `sat` results hold a witness", source=result
            )
    elif (word := _verdict_alone(text)) is not None:
        why = "only `sat` results hold a witness"
        if word == "sat":
            why = "it holds no witness; was that written to files, by --serialise-assignments?"
        raise SpecError(f"verdict is {word}; {why}", source=result)
    elif query is not None and is_second_file(query):
        witness = read_assignment(text, result)
    else:
        witness = read_witness(text, result)
    if models is None or query is None:
        raise OptionError(f"{result} does not name its files; give QUERY and --network MODEL")
    check_roles(models, query, f"vnnverify check {result} {{query}} --network {{model}}")
    question = load_query(models, query, opaque=True)
    if not witness.y and witness.tensors:
        witness = assigned(witness, question.layout.tensors, result)
    count = sum(math.prod(spec.shape) for spec in question.layout.inputs)
    if len(witness.x) != count:
        raise SpecError(f"the witness has {len(witness.x)} inputs, the model {count}", source=result)
    point = question.layout.gather(torch.tensor(witness.x, dtype=torch.float64))
    replay = question.source.replay(point)
    objection = _objection(witness, replay)
    click.echo(f"invalid: {objection}" if objection else "valid")
    return 1 if objection else 0


def _verdict_alone(text: str) -> str | None:
    """The verdict of a result that says nothing more, or none but `sat` could."""
    first, _, rest = text.strip().partition("\n")
    word = first.strip().lower()
    known = word in ("unsat", "unknown", "timeout", "timed-out", "error") or (word == "sat" and not rest)
    return word if known else None


def _objection(witness: Witness, replay: Replay) -> str:
    """What speaks against the witness; empty if nothing does.

    The model's outputs are judged as onnxruntime gives them here; the ones that the result states, if
    any, must be the same up to the order of summation.
    """
    from vnnverify.numerics import AGREEMENT

    if not replay.valid:
        return replay.reason
    moved = max((abs(a - b) for a, b in zip(replay.x, witness.x, strict=True)), default=0.0)
    if moved > 0:
        return f"the point lies outside the box or is no number of the model's type (by {moved:.3g})"
    if not witness.y:
        return ""
    if len(witness.y) != len(replay.y):
        return f"{len(witness.y)} outputs are stated, the model has {len(replay.y)}"
    scale = max(1.0, max(map(abs, replay.y)))
    for index, (stated, actual) in enumerate(zip(witness.y, replay.y, strict=True)):
        if not abs(stated - actual) <= AGREEMENT * scale:
            return f"Y_{index} is stated as {stated!r}, the model gives {actual!r}"
    return ""
