#!/usr/bin/env bash
# What only a CUDA GPU can show: that its kernels give the CPU's results, and how fast they are.
#
#   scripts/check_on_gpu.sh              the tests that need a GPU
#   scripts/check_on_gpu.sh --benchmarks [--quick]     and every benchmark on it, as text, into $OUT or runs/gpu-check
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/gpu_environment.sh
require torch diffusers pytest beartype hypothesis
benchmarks= quick=
for option in "$@"; do
    case $option in
        --benchmarks) benchmarks=yes ;;
        --quick) quick=--quick ;;
        *) echo "unknown option $option; expected --benchmarks, --quick" >&2; exit 2 ;;
    esac
done
out=${OUT:-runs/gpu-check}
mkdir -p "$out"

"$PY" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "no usable CUDA GPU here" >&2; exit 2; }
"$PY" -m pytest -q -rs -p no:cacheprovider tests/data/test_worlds_render.py tests/video/test_view_time_attention.py \
    tests/splat/test_gsplat_adapter.py -k "gpu or cuda" 2>&1 | tee "$out/tests.txt"

[ -n "$benchmarks" ] || exit 0
failed=
for script in attention arrangements reconstruct steps rasterize worlds trainer; do
    echo "== $script"
    options=$quick
    [ $script = rasterize ] || options="$options --device cuda"
    # One that fails or takes too long must not cost the others their turn on a borrowed GPU.
    timeout 240 "$PY" benchmarks/$script.py $options 2>&1 | tee "$out/$script.txt" || failed="$failed $script"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
