#!/bin/sh
# The tmt test: tmt takes exit code 0 for a pass, 1 for a failure, and each other one for an error.
#
# LOSTTICK  the command; by default `losttick`
# PLAN      a plan that comes with losttick, or a file; by default `nightly`
set -eu

data=${TMT_TEST_DATA:-$(mktemp -d)}
code=0
"${LOSTTICK:-losttick}" run --plan "${PLAN:-nightly}" --out "$data/run" \
    --report "junit=$data/junit.xml" --report "ktap=$data/results.ktap" || code=$?
case $code in
0 | 1) exit "$code" ;;
5) exit 1 ;;
*)
    echo "losttick ended with $code: 3 not all could be tested here, 4 losttick or QEMU failed," \
        "6 inconclusive (run again on a quiet host)" >&2
    exit 2
    ;;
esac
