#!/bin/sh
# Build the tick guest: build.sh [OUTPUT]. Needs `as` and `objcopy` (binutils).
set -eu
here=$(dirname "$0")
output=${1:-$here/tick.bin}
object=$(mktemp)
trap 'rm -f "$object"' EXIT
as --32 -mx86-used-note=no -o "$object" "$here/tick.S"
if objdump -r "$object" | grep -q R_386; then
    echo "tick.S: an address was left to the linker:" >&2
    objdump -r "$object" >&2
    exit 1
fi
objcopy -O binary -j .text "$object" "$output"
