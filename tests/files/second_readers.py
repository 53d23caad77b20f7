"""Readers of exported files that share no code with their writers: other libraries, or parsers by the specification.

Each returns the physical values `Gaussians` would hold, in the file's own order.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from fourreal.core.gaussians import SH_C0, Gaussians


def ply(path: Path) -> Gaussians:
    """fourdgs reads what gsply wrote."""
    from fourdgs.convert import read_ply

    fields = read_ply(str(path)).fields
    columns = lambda name, count: np.stack([fields[f"{name}_{i}"] for i in range(count)], -1)  # noqa: E731
    rest = sum(name.startswith("f_rest_") for name in fields)
    sh = columns("f_dc", 3)[:, None]
    if rest:
        sh = np.concatenate([sh, columns("f_rest", rest).reshape(-1, 3, rest // 3).transpose(0, 2, 1)], 1)
    means = np.stack([fields[name] for name in "xyz"], -1)
    return _gaussians(
        means, columns("rot", 4), np.exp(columns("scale", 3)), 1 / (1 + np.exp(-fields["opacity"])), sh
    )  # fmt: skip


def spz(path: Path) -> Gaussians:
    """gaussforge reads what gsply wrote."""
    import gaussforge

    converted = gaussforge.GaussForge().convert(path.read_bytes(), "spz", "ply")
    assert "error" not in converted, converted
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "x.ply"
        plain.write_bytes(converted["data"])
        return ply(plain)


def splat(path: Path) -> Gaussians:
    """32 bytes each: position, scale, RGBA, and a quaternion in bytes."""
    layout = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("wxyz", "u1", 4)])
    table = np.frombuffer(path.read_bytes(), layout)
    rgba = table["rgba"] / 255.0
    quats = (table["wxyz"].astype(float) - 128) / 128
    return _gaussians(table["position"], quats, table["scale"], rgba[:, 3], (rgba[:, None, :3] - 0.5) / SH_C0)


def sog(path: Path) -> Gaussians:
    """Version 2 bundle: lossless WebP pictures, one pixel per Gaussian, and codebooks."""
    from PIL import Image

    with zipfile.ZipFile(path) as bundle:
        meta = json.loads(bundle.read("meta.json"))
        count = meta["count"]

        def picture(name: str) -> np.ndarray:
            return np.asarray(Image.open(io.BytesIO(bundle.read(name))).convert("RGBA"))

        def pixels(part: str, index: int = 0) -> np.ndarray:
            return picture(meta[part]["files"][index]).reshape(-1, 4)[:count]

        low, high = (pixels("means", index)[:, :3].astype(float) for index in (0, 1))
        share = (high * 256 + low) / 65535
        logs = np.array(meta["means"]["mins"]) * (1 - share) + np.array(meta["means"]["maxs"]) * share
        means = np.sign(logs) * (np.exp(np.abs(logs)) - 1)
        quats = _smallest_three(pixels("quats"))
        scales = np.exp(np.array(meta["scales"]["codebook"])[pixels("scales")[:, :3]])
        base = pixels("sh0")
        sh = np.array(meta["sh0"]["codebook"])[base[:, :3]][:, None]
        if "shN" in meta:
            bases = (meta["shN"]["bands"] + 1) ** 2 - 1
            labels = pixels("shN", 1).astype(int)
            label = labels[:, 0] + labels[:, 1] * 256
            palette = picture(meta["shN"]["files"][0])[..., :3]
            columns = (label % 64 * bases)[:, None] + np.arange(bases)
            rest = np.array(meta["shN"]["codebook"])[palette[(label // 64)[:, None], columns]]
            sh = np.concatenate([sh, rest], 1)
    return _gaussians(means, quats, scales, base[:, 3] / 255, sh)


def _smallest_three(pixels: np.ndarray) -> np.ndarray:
    """wxyz whose largest component, named by alpha, was left out."""
    stored = (pixels[:, :3] / 255.0 - 0.5) * np.sqrt(2)
    largest = pixels[:, 3].astype(int) - 252
    quats = np.empty((len(pixels), 4))
    for index, (values, skip) in enumerate(zip(stored, largest, strict=True)):
        quats[index, [i for i in range(4) if i != skip]] = values
        quats[index, skip] = np.sqrt(max(0.0, 1 - (values**2).sum()))
    return quats


def glb(path: Path) -> tuple[Gaussians, dict]:
    """Binary glTF with KHR_gaussian_splatting; the JSON comes along."""
    blob = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", blob)
    assert (magic, version, length) == (b"glTF", 2, len(blob))
    json_length, kind = struct.unpack_from("<I4s", blob, 12)
    assert kind == b"JSON"
    document = json.loads(blob[20 : 20 + json_length])
    start = 20 + json_length + 8
    attributes = document["meshes"][0]["primitives"][0]["attributes"]

    def values(name: str) -> np.ndarray:
        accessor = document["accessors"][attributes[name]]
        assert accessor["componentType"] == 5126
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        count = accessor["count"] * width
        return np.frombuffer(blob, "<f4", count, start + view["byteOffset"]).reshape(-1, width)

    splats = "KHR_gaussian_splatting:"
    sh = [
        values(f"{splats}SH_DEGREE_{degree}_COEF_{k}")
        for degree in range(4)
        for k in range(2 * degree + 1)
        if f"{splats}SH_DEGREE_{degree}_COEF_{k}" in attributes
    ]
    quats = values(f"{splats}ROTATION")[:, [3, 0, 1, 2]]
    opacities = values(f"{splats}OPACITY")[:, 0]
    gaussians = _gaussians(values("POSITION"), quats, values(f"{splats}SCALE"), opacities, np.stack(sh, 1))
    return gaussians, document


def fourdgs_at(path: Path, seconds: float) -> Gaussians:
    """The library's own decoder; no other reader of `.4dgs` is published as a package."""
    import fourdgs
    from fourdgs.quantization import sh_coefficient

    scene = fourdgs.read(str(path))
    state = scene.state_at(seconds)
    everything, index = scene.gaussians, state["indices"]
    sh = (everything.colors[index, None, :3] - 0.5) / SH_C0
    if everything.sh is not None:
        rest = (
            sh_coefficient(everything.sh[index]).reshape(len(index), 3, everything.sh.shape[1] // 3).transpose(0, 2, 1)
        )
        sh = np.concatenate([sh, rest], 1)
    quats = state["orientations"][:, [3, 0, 1, 2]]
    return _gaussians(state["centers"], quats, everything.scales[index], state["opacity"], sh)


def usd_at(path: Path, code: float | None) -> Gaussians:
    """Plain attribute reads through pxr at a time code, or of the default value."""
    from pxr import Usd

    stage = Usd.Stage.Open(str(path))
    prim = stage.GetDefaultPrim()
    assert prim.GetTypeName() == "ParticleField3DGaussianSplat"
    time = Usd.TimeCode.Default() if code is None else Usd.TimeCode(code)
    read = lambda name: np.array(prim.GetAttribute(name).Get(time))  # noqa: E731
    quats = np.array([[q.GetReal(), *q.GetImaginary()] for q in prim.GetAttribute("orientations").Get(time)])
    bases = (prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get() + 1) ** 2
    sh = read("radiance:sphericalHarmonicsCoefficients").reshape(-1, bases, 3)
    return _gaussians(read("positions"), quats.reshape(-1, 4), read("scales"), read("opacities"), sh)


def _gaussians(means, quats, scales, opacities, sh) -> Gaussians:
    tensor = lambda values: torch.from_numpy(np.array(values, dtype=np.float32))  # noqa: E731
    wxyz = torch.from_numpy(np.array(quats, dtype=np.float64))
    norm = wxyz.norm(dim=-1, keepdim=True)
    wxyz = torch.where((norm - 1).abs() < 1e-6, wxyz, wxyz / norm)  # what is unit already stays as written
    return Gaussians(tensor(means), wxyz.float(), tensor(scales), tensor(opacities), tensor(sh))
