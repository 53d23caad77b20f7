"""Whether the demo's grid and scene are bit for bit those of another commit, on this machine.

    python scripts/same_results.py              # against the commit before
    python scripts/same_results.py v0.1.0

For changes that must not change numerics. Both versions run with one thread in this environment; hashes are of
pixels and tensors, not of files, so that formats and manifests may change. Exits with 1 when anything differs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[1]


def run_demo(code: Path, out: Path) -> dict[str, str]:
    """Hashes of every frame of the demo's grid and every tensor of its scene, by file and tensor."""
    one_thread = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(code)}
    command = [sys.executable, "-m", "fourreal.cli", "run", "--sample", "--until", "reconstruct", "--out", str(out)]
    subprocess.run([*command, "--quiet"], check=True, cwd=code, env=os.environ | one_thread)
    found = {}
    for file in sorted((out / "grid").rglob("*.png")):
        found[str(file.relative_to(out))] = _hash(np.asarray(Image.open(file)))
    for file in sorted((out / "scene").rglob("*.safetensors")):
        found |= {f"{file.relative_to(out)}:{name}": _hash(values) for name, values in load_file(file).items()}
    return found


def _hash(values: np.ndarray) -> str:
    return hashlib.sha256(f"{values.shape}{values.dtype}".encode() + values.tobytes()).hexdigest()[:16]


def main() -> None:
    commit = sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "code"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(other), commit], check=True, cwd=ROOT)
        try:
            theirs, ours = run_demo(other, Path(folder) / "theirs"), run_demo(ROOT, Path(folder) / "ours")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], check=True, cwd=ROOT)
    differing = [name for name in sorted(theirs | ours) if theirs.get(name) != ours.get(name)]
    whole = hashlib.sha256("".join(ours.values()).encode()).hexdigest()[:16]
    if differing:
        sys.exit(f"{len(differing)} of {len(theirs | ours)} differ from {commit}, first {differing[0]}")
    print(f"{len(ours)} frames and tensors equal those of {commit}; all together {whole}")


if __name__ == "__main__":
    main()
