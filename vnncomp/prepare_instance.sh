#!/bin/bash
# prepare_instance.sh v1 CATEGORY ONNX VNNLIB: exit code 0 if the instance can be run, else it is skipped.
# Nothing is converted. The files are read once, so that the disk is not part of what is measured.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/find_tool.sh"
WORDS=$(mktemp) || exit 1
trap 'rm -f "$WORDS"' EXIT
"$TOOL_PYTHON" "$HERE/instance.py" "$3" "$4" --files > "$WORDS" || exit 1
mapfile -d '' FILES < "$WORDS"
cat "${FILES[@]}" > /dev/null || exit 1
"$TOOL" --version > /dev/null || exit 1
