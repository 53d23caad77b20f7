#!/usr/bin/env bash
# Install PyTorch into a virtual environment, without gigabytes of CUDA where no NVIDIA GPU is.
#
#   scripts/install_torch.sh PYTHON torch==VERSION [INDEX]
#
# On Linux PyPI's torch is the CUDA build. Without an NVIDIA driver a CPU build is taken instead: from pip's own folders of
# wheels (find-links) if they hold it, else from PyTorch's index of CPU builds if it can be reached, else what pip finds.
set -euo pipefail
python=$1 torch=$2 index=${3:-}
pip() { "$python" -m pip --disable-pip-version-check "$@"; }

if [ -n "$index" ]; then
    echo "PyTorch: $torch from $index"
    pip install -qq --index-url "$index" "$torch"
elif [ "$(uname -s)" != Linux ] || command -v nvidia-smi >/dev/null; then
    echo "PyTorch: $torch"
    pip install -qq "$torch"
elif pip install -qq --no-deps --no-index "$torch" 2>/dev/null; then
    echo "PyTorch: $torch from a folder of wheels"
elif pip install -qq --no-deps --timeout 10 --retries 0 --index-url https://download.pytorch.org/whl/cpu "$torch" 2>/dev/null; then
    echo "PyTorch: $torch, the CPU build"
else
    echo "PyTorch: $torch. The index of CPU builds cannot be reached, so this is pip's default build, which on Linux holds"
    echo "CUDA: a download of gigabytes. To stop it, press Ctrl-C and give an index: make TORCH_INDEX=https://..."
    pip install -q "$torch"
fi
pip install -qq "$torch" # what it depends on
