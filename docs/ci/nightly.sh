#!/bin/sh
# Test this host, keep the results in forms that people and programs read, and end with losttick's
# exit code.
#
#   nightly.sh FOLDER [OPTION...]     options go to `losttick run`, such as --require kvm
#
# FOLDER gets a folder for each night (run-DATE, with journal and evidence), and junit.xml,
# results.ktap, kcidb.json and summary.md of the last one. If the newest run was cut off, for
# instance by a reboot, that run goes on, with the plan and the options of `losttick run` that it
# began with. `losttick report --index FOLDER` makes a page over all nights.
#
# LOSTTICK  the command; by default `losttick`
# PLAN      a plan that comes with losttick, or a file; by default `nightly`
set -eu

[ $# -gt 0 ] || {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
folder=$1
shift
mkdir -p "$folder"
# The reports of the last night must not pass for those of this one.
rm -f "$folder/junit.xml" "$folder/results.ktap" "$folder/kcidb.json" "$folder/summary.md"

newest=
for run in "$folder"/run-*; do # in the order of their dates
    # Without a plan in its journal, a run has not begun.
    ! grep -qs -m 1 '^{"record":"plan",' "$run/journal.jsonl" || newest=$run
done
# The last record of a run that has ended is its verdict.
if [ -n "$newest" ] && ! tail -n 1 "$newest/journal.jsonl" | grep -q '^{"record":"verdict",'; then
    run=$newest
    echo "losttick: $run was cut off and goes on." \
        "${*:+It keeps its own options, and these are not used: $*}" >&2
    set -- --resume "$run"
else
    run=$folder/run-$(date -u +%Y-%m-%dT%H%M%SZ)
    set -- --plan "${PLAN:-nightly}" --out "$run" "$@"
fi

code=0
"${LOSTTICK:-losttick}" run "$@" \
    --report "junit=$folder/junit.xml" \
    --report "ktap=$folder/results.ktap" \
    --report "kcidb=$folder/kcidb.json" \
    --report "markdown=$folder/summary.md" || code=$?

# The meaning of each code is the same for all commands: docs/results.md has the table.
case $code in
0) said="clean" ;;
1) said="affected: this kernel has the bug" ;;
3) said="not all that was asked for could be tested here; nothing is wrong with what could" ;;
4) said="losttick or QEMU failed: look at the messages above, and run again" ;;
5) said="anomalous: ticks went wrong, but not by the known bug" ;;
6) said="inconclusive: the host was busy, or the run too short. Run again on a quiet host" ;;
130) said="interrupted: the same command goes on with the run" ;;
*) said="not started: see the message above. To give up a run that can't go on, move its folder away" ;;
esac
echo "losttick: exit code $code: $said. Run: $run. Reports: $folder" >&2
exit "$code"
