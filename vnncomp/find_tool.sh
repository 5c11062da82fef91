# Sourced by the other scripts: the tool and a Python to go with it, installed here or found on the path.
TOOL=$HERE/env/bin/vnnverify
TOOL_PYTHON=$HERE/env/bin/python
if [ ! -x "$TOOL" ]; then
    TOOL=vnnverify
    TOOL_PYTHON=python3
fi
