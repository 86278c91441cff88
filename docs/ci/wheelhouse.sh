#!/bin/sh
# Install losttick on a computer without the network.
#
#   wheelhouse.sh make FOLDER          on a computer with the network, with the same Python version
#   wheelhouse.sh install FOLDER VENV  on the other one, with FOLDER copied there
#
# The other computer needs python3 with venv, and QEMU (Debian: python3-venv qemu-system-x86
# qemu-utils). The command is then VENV/bin/losttick. PYTHON chooses the interpreter.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}

case "${1:-} $#" in
"make 2")
    "$python" -m pip wheel --disable-pip-version-check --wheel-dir "$2" "$here"
    cp "$0" "$2/"
    echo "wheelhouse: copy $2, and there run: sh $(basename "$2")/wheelhouse.sh install" \
        "$(basename "$2") /opt/losttick" >&2
    ;;
"install 3")
    "$python" -m venv "$3"
    "$3/bin/python" -m pip install --disable-pip-version-check --no-index --find-links "$2" losttick
    echo "wheelhouse: the command is $3/bin/losttick" >&2
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
