#!/bin/bash
# install_tool.sh v1: install vnnverify into an environment of its own beside this script.
# PYTHON names the interpreter to use (3.11 or newer).
set -e
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"${PYTHON:-python3}" -m venv "$HERE/env"
"$HERE/env/bin/python" -m pip install --upgrade pip
"$HERE/env/bin/python" -m pip install "$HERE/.."
"$HERE/env/bin/vnnverify" doctor
