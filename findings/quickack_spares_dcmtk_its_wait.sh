#!/usr/bin/env bash
# A receiver can spare DCMTK's storescu its 40 ms an image: by acknowledging at once, without anything set at the sender.
#
# Packages  Debian 12's dcmtk 3.6.7-9~deb12u4, as installed; pynetdicom==3.0.4 and pydicom==3.0.2 receive. Linux.
# Guess     storescu, and what is built on DCMTK, writes the command and the data of an image apart, and its kernel holds
#           the second back until the first is acknowledged, which the other one does after 40 ms. Only TCP_NODELAY=1 in
#           the sender's environment mends that; a scanner's environment is nobody's to set.
# Seen      60 images of 32 KiB: 46 ms each to a receiver as it is, its own TCP_NODELAY or not; 3 to 5 ms each where it
#           sets TCP_QUICKACK before every read (tcp(7): it does not last). 9 to 15 times as fast.
# So        A receiver of DICOM on Linux asks for TCP_QUICKACK before every read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pynetdicom==3.0.4 pydicom==3.0.2
(cd "$work" && apt-get download dcmtk=3.6.7-9~deb12u4 libdcmtk17=3.6.7-9~deb12u4 libwrap0 libxml2 libssl3 libicu72 \
  >/dev/null 2>&1 && for package in *.deb; do dpkg -x "$package" root; done)
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu"
export DCMDICTPATH="$work/root/usr/share/libdcmtk17/dicom.dic"
cat > "$work/seen.py" <<'PY'
import socket
import subprocess
import sys
import time
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

work, images = Path(sys.argv[1]), []
for number in range(60):
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID = generate_uid(), generate_uid(), "P"
    data.Rows = data.Columns = 128
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 1, 1
    data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", bytes(2 * 128 * 128)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(work / f"{number}.dcm", enforce_file_format=True)
    images.append(str(work / f"{number}.dcm"))


def milliseconds(option: int | None) -> float:
    """An image, to a receiver that sets an option of TCP before every read."""

    def opened(event: evt.Event) -> None:
        end = event.assoc.dul.socket
        receive = end.recv

        def asked(count: int) -> bytearray:
            if option is not None:
                end.socket.setsockopt(socket.IPPROTO_TCP, option, 1)
            return receive(count)

        end.recv = asked

    entity = AE(ae_title="NODE")
    entity.add_supported_context(CTImageStorage)
    handlers = [(evt.EVT_CONN_OPEN, opened), (evt.EVT_C_STORE, lambda _: 0x0000)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    port = str(server.socket.getsockname()[1])
    begun = time.perf_counter()
    subprocess.run([str(work / "root/usr/bin/storescu"), "-aec", "NODE", "127.0.0.1", port, *images], check=True)
    taken = 1000 * (time.perf_counter() - begun) / len(images)
    server.shutdown()
    return taken


options = {"as it is": None, "TCP_NODELAY": socket.TCP_NODELAY, "TCP_QUICKACK": socket.TCP_QUICKACK}
found = {name: min(milliseconds(option) for _ in range(2)) for name, option in options.items()}
for name, taken in found.items():
    print(f"receiver {name}: {taken:.1f} ms an image")
assert min(found["as it is"], found["TCP_NODELAY"]) > 3 * found["TCP_QUICKACK"], "it has changed"
PY
"$work/venv/bin/python" "$work/seen.py" "$work"
