#!/usr/bin/env bash
# Train the shipped models on one CUDA GPU, in calls of a few minutes that go on from one another.
#
#   scripts/train_on_gpu.sh [--minutes-total 28] [--minutes-call 9] [--recipe mini] [--kinds video recon]
#
# Give the same command again until it says "finished". No network is needed: packages that the machine lacks are
# installed from wheels/*.whl. Where $OUT names a folder, logs, models and state are left there in files of at most
# 15 MB. Every option: scripts/train_on_gpu.sh --help. Rehearse with --device cpu --recipe tiny --minutes-total 1.5.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/gpu_environment.sh
require torch diffusers transformers accelerate safetensors einops jaxtyping numba av PIL tyro rich matplotlib skimage
if command -v nvidia-smi >/dev/null; then require gsplat; fi
exec "$PY" scripts/train_in_calls.py "$@"
