#!/bin/sh
# Builds the TensorRT plan of @{onnx} and makes the model @{tensorrt} of it.
# @{intended_use}
# Run it on the machine and the GPU that serve, in the TensorRT container of the server's month: see README.md.
set -eu
cd "$(dirname "$0")"
model=@{tensorrt}
network=@{onnx}/@{version}/model.onnx

if [ -e "$model" ]; then
    echo "$model is there already: remove it to build it again." >&2
    exit 2
fi
if ! echo "@{network_sha256}  $network" | sha256sum --check --status; then
    echo "$network is not the network of the bundle: copy the repository again." >&2
    exit 4
fi
trtexec=$(command -v trtexec || echo /usr/src/tensorrt/bin/trtexec)
if [ ! -x "$trtexec" ]; then
    echo "There is no trtexec: run this in a container of TensorRT, see README.md." >&2
    exit 5
fi

# --noTF32: by default products of float32 are taken with 10 bits of mantissa; the export was verified with 23
trap 'rm -f "$model.plan"' EXIT
"$trtexec" --onnx="$network" --saveEngine="$model.plan" --stronglyTyped --noTF32 --skipInference \
    --minShapes=@{fewest} \
    --optShapes=@{likely} \
    --maxShapes=@{most}

mkdir -p "$model/@{version}"
cp "$model.pbtxt" "$model/config.pbtxt"
mv "$model.plan" "$model/@{version}/model.plan"
echo "$model is built: start the server again, or load it."
