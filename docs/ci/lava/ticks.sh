#!/bin/sh
# Run losttick, and tell LAVA the result of each cell: a test case of LAVA for each line of KTAP.
#
# LOSTTICK  the command; by default `losttick`
# PLAN      a plan that comes with losttick, or a file; by default `nightly`
set -u

results=$(mktemp)
"${LOSTTICK:-losttick}" run --plan "${PLAN:-nightly}" --report "ktap=$results"
code=$?

# The lines of cells are indented, as in `  not ok 2 kvm/one-shot # ERROR why`.
sed -n -E 's/^ +(ok|not ok) [0-9]+ ([^#]*[^# ])( # (SKIP|ERROR).*)?$/\1:\4:\2/p' "$results" |
    while IFS=: read -r ok directive name; do
        case $ok:$directive in
        *:SKIP) result=skip ;;
        *:ERROR) result=unknown ;;
        ok:) result=pass ;;
        *) result=fail ;;
        esac
        lava-test-case "$(printf %s "$name" | tr -c 'A-Za-z0-9_-' .)" --result "$result"
    done

# Without a result line, the whole test did not come to its end.
case $code in
0 | 1 | 3 | 4 | 5 | 6) ;;
*) lava-test-raise "losttick ended with $code before it had results" ;;
esac
