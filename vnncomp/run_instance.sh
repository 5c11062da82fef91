#!/bin/bash
# run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT: decide one instance. Always exits with 0.
# ONNX is a path, or for several networks a list "[('f', 'a.onnx'), ('g', 'b.onnx')]".
# RESULTS holds a valid answer at any time, so that being killed does no harm.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/find_tool.sh"
answer() {
    printf '%s\n' "$1" > "$RESULTS.$$" && mv -f "$RESULTS.$$" "$RESULTS"
}
RESULTS=$5
answer timeout
WORDS=$(mktemp)
trap 'rm -f "$WORDS"' EXIT
if "$TOOL_PYTHON" "$HERE/instance.py" "$3" "$4" > "$WORDS"; then
    mapfile -d '' ARGUMENTS < "$WORDS"
    "$TOOL" verify --result-file "$RESULTS" --timeout "$6" "${ARGUMENTS[@]}" || answer error
else
    answer error
fi
exit 0
