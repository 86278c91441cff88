#!/bin/sh
# Test this host, keep the results in forms that people and programs read, and end with losttick's
# exit code.
#
#   nightly.sh FOLDER [OPTION...]     options go to `losttick run`, such as --require kvm
#
# FOLDER gets run/ (journal and evidence), junit.xml, results.ktap, kcidb.json and summary.md. If
# FOLDER has a run that was cut off, for instance by a reboot, that run goes on.
#
# LOSTTICK  the command; by default `losttick`
# PLAN      a plan that comes with losttick, or a file; by default `nightly`
set -eu

[ $# -gt 0 ] || {
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
folder=$1
shift
mkdir -p "$folder"
if [ -e "$folder/run/journal.jsonl" ]; then
    set -- --resume "$folder/run"
else
    set -- --plan "${PLAN:-nightly}" --out "$folder/run" "$@"
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
*) said="not started: see the message above" ;;
esac
echo "losttick: exit code $code: $said. Results: $folder" >&2
exit "$code"
