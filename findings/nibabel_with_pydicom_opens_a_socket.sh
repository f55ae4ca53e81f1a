#!/usr/bin/env bash
# Importing nibabel opens a network socket, and takes twice as long, where pydicom and requests happen to be installed.
#
# Packages  nibabel==5.4.2, pydicom==3.0.2, requests==2.34.2. Python 3.11.
# Guess     `import nibabel`, to read NIfTI files, touches no network; pydicom matters to whoever reads DICOM with it.
# Seen      nibabel alone: no socket, 0 modules of pydicom. Beside pydicom: its nifti1 module imports all of pydicom for
#           a header extension, used or not; still no socket. Beside pydicom and requests: pydicom's module for
#           downloads of test data imports requests, whose urllib3 makes a socket and binds it, to learn whether the
#           machine has IPv6.
# So        A check that a program for hospitals opens no socket depends on packages that it never uses. Nothing is sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
cat > "$work/seen.py" <<'PY'
import sys

events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("socket.") else None)
import nibabel

print(sorted(set(events)), sum(name.split(".")[0] == "pydicom" for name in sys.modules) > 0)
PY
see() { "$work/venv/bin/python" "$work/seen.py"; }
"$work/venv/bin/pip" install --quiet nibabel==5.4.2 numpy==2.4.6
alone=$(see)
"$work/venv/bin/pip" install --quiet pydicom==3.0.2
beside=$(see)
"$work/venv/bin/pip" install --quiet requests==2.34.2
both=$(see)
printf 'nibabel alone          %s\nbeside pydicom         %s\nand beside requests    %s\n' "$alone" "$beside" "$both"
test "$alone" = "[] False"
test "$beside" = "[] True"
test "$both" = "['socket.__new__', 'socket.bind'] True"
