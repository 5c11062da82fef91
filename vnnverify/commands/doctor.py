# SPDX-License-Identifier: Apache-2.0
"""`vnnverify doctor`: what is installed, what works, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import click

from vnnverify import __version__
from vnnverify.plugin.manager import load_plugins

__all__ = ["command"]

_PACKAGES = {
    "torch": "pip install torch",
    "onnx": "pip install onnx",
    "onnx2torch": "pip install onnx2torch  (attacks on models with operators the importer lacks)",
    "highspy": "pip install highspy  (mixed-integer programs)",
    "numpy": "pip install numpy",
    "scipy": "pip install scipy",
    "lark": "pip install lark",
    "pluggy": "pip install pluggy",
    "vnnlib": "pip install vnnlib  (properties in VNN-LIB 2.0)",
}


@click.command("doctor")
def command() -> int:
    """Check the installation. Exit code 1 if something needed is missing."""
    click.echo(f"vnnverify     {__version__}")
    click.echo(f"python        {platform.python_version()} on {platform.system()} {platform.machine()}")
    missing = 0
    for name, remedy in _PACKAGES.items():
        missing += _package(name, remedy)
    missing += _onnxruntime()
    _devices()
    plugins = load_plugins()
    for name in sorted(plugins.backends):
        try:
            plugins.backends[name].load()
            click.echo(f"backend       {name}: ok")
        except Exception as error:  # fence: somebody else's code
            missing += 1
            click.echo(f"backend       {name}: fails to load: {type(error).__name__}: {error}")
    for failure in plugins.failures:
        missing += 1
        click.echo(f"plugin        {failure.plugin}: broken: {failure.reason}")
    click.echo("all is well" if not missing else f"{missing} problem(s) found")
    return 1 if missing else 0


def _package(name: str, remedy: str) -> int:
    try:
        click.echo(f"{name:<13} {version(name)}")
    except PackageNotFoundError:
        click.echo(f"{name:<13} missing: {remedy}")
        return 1
    return 0


def _onnxruntime() -> int:
    found = []
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    if len(found) == 2:
        click.echo(
            f"onnxruntime   {' and '.join(found)}: one overwrites the other; uninstall both, install one"
        )
        return 1
    if not found:
        click.echo(
            "onnxruntime   missing: pip install onnxruntime-gpu (x86-64 Linux, Windows) or onnxruntime"
        )
        return 1
    click.echo(f"onnxruntime   {found[0]}")
    return 0


def _devices() -> None:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    click.echo(f"cpu           {cores} cores to use")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            click.echo(f"cuda:{index}        {torch.cuda.get_device_name(index)}")
    else:
        click.echo("cuda          none; everything runs on the CPU")
