# SPDX-License-Identifier: Apache-2.0
"""`vnnverify translate`: a property in VNN-LIB 1.0 as VNN-LIB 2.0."""

from __future__ import annotations

import re

import click

from vnnverify.errors import OptionError

__all__ = ["command"]


@click.command("translate")
@click.argument("query")
@click.option(
    "--network", "model", required=True, metavar="MODEL", help="The ONNX model that QUERY is about."
)
@click.option("--name", default="N", show_default=True, metavar="NAME", help="What to call the network.")
@click.option("--output", metavar="FILE", help="Write to FILE instead of to stdout.")
def command(query: str, model: str, name: str, output: str | None) -> None:
    """Write QUERY, a VNN-LIB 1.0 property, as VNN-LIB 2.0, with names, shapes and types of the model."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise OptionError(f"--name {name}: a name in VNN-LIB is a letter, then letters, digits and _")
    from vnnverify.importer import load_model
    from vnnverify.results import write_file
    from vnnverify.vnnlib import load_property
    from vnnverify.vnnlib.translation import translate

    found = load_property(query)
    lines = translate(found, load_model(model, opaque=True, elements=found.inputs).layout, name)
    if output is not None:
        write_file(output, "".join(f"{line}\n" for line in lines))
        return
    for line in lines:
        click.echo(line)
