# SPDX-License-Identifier: Apache-2.0
"""`vnnverify slice`: the smallest part of a model that still shows a failure."""

from __future__ import annotations

from pathlib import Path

import click

from vnnverify.errors import FileError, ModelError

__all__ = ["command"]


@click.command("slice")
@click.argument("model")
@click.option("--node", metavar="NAME", help="The node to look at; default: the first that fails.")
@click.option("--output", metavar="FOLDER", default="slice", show_default=True, help="Where to write it.")
def command(model: str, node: str | None, output: str) -> int:
    """Cut MODEL down to what cannot be read, cannot be bounded by intervals, or differs from onnxruntime.

    Writes FOLDER/slice.onnx, and FOLDER/slice.vnnlib: a box around values seen at random inputs, and one
    comparison of outputs. Says so if nothing fails.
    """
    from vnnverify.diagnosis.slicing import slice_of
    from vnnverify.inputs.external import read_model_file
    from vnnverify.plugin.manager import load_plugins

    plugins = load_plugins()
    plugins.install_rules()
    data = read_model_file(model).data
    try:
        found = slice_of(data, node, plugins.operators)
    except ModelError as error:
        raise type(error)(f"{model}: {error}") from error
    if found is None:
        click.echo(f"nothing fails at node {node!r}" if node else "nothing fails")
        return 0
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "slice.onnx").write_bytes(found.model)
        (folder / "slice.vnnlib").write_text(found.query, encoding="utf-8")
    except OSError as error:
        raise FileError(f"{output}: cannot be written ({error}); name another folder") from error
    click.echo(f"{found.failure.kind}: {found.failure.reason}")
    names = ", ".join(found.nodes[:12]) + (", …" if len(found.nodes) > 12 else "")
    click.echo(f"{len(found.nodes)} of {found.total} nodes: {names}")
    click.echo(f"{folder / 'slice.onnx'}, {folder / 'slice.vnnlib'}")
    return 0
