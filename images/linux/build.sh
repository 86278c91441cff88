#!/bin/sh
# Build the Linux guest's first process: build.sh [OUTPUT]. Needs gcc and binutils.
set -eu
here=$(dirname "$0")
output=${1:-$here/init}
# Nothing of the machine, its paths or its C library gets into the program.
gcc -O2 -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -fcf-protection=none \
    -fno-asynchronous-unwind-tables -fno-ident -mno-sse -mno-red-zone -nostdlib -static -no-pie \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack -Wl,-s -o "$output" "$here/init.c"
[ $# -gt 0 ] || gcc --version | head -n 1 >"$here/init.compiler"
