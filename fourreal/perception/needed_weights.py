"""Pretrained weights that do not come with this package: which file, from where, where to put it.

Nothing is downloaded here. A metric whose weights are absent raises `MissingWeights`; the other
metrics still run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fourreal.core.errors import InputError

FOLDER_VARIABLE = "FOURREAL_WEIGHTS"
"""Environment variable naming the folder that holds the user's pretrained weights."""


class MissingWeights(InputError):
    """Pretrained weights are not there. The message says which file, from where and where to put it."""


@dataclass(frozen=True)
class NeededWeights:
    """One pretrained file or folder that a metric needs.

    Attributes:
        name: file or folder name inside the weights folder.
        metric: what cannot be computed without it.
        source: where its authors publish it.
    """

    name: str
    metric: str
    source: str

    def find(self, given: str | os.PathLike[str] | None = None) -> Path:
        """The path given, or the one in the weights folder.

        Raises:
            MissingWeights: it is in neither place.
        """
        path = Path(given) if given is not None else weights_folder() / self.name
        if not path.exists():
            raise MissingWeights(
                f"{self.metric} needs {self.name}, which is not at {path}; get it from {self.source} and put it there, "
                f"or set {FOLDER_VARIABLE} to the folder that holds it"
            )
        return path


LPIPS_ALEX_BACKBONE = NeededWeights(
    "alexnet-owt-7be5be79.pth", "LPIPS (AlexNet)", "torchvision (AlexNet_Weights.IMAGENET1K_V1, 233 MB)"
)
LPIPS_VGG_BACKBONE = NeededWeights(
    "vgg16-397923af.pth", "LPIPS (VGG)", "torchvision (VGG16_Weights.IMAGENET1K_V1, 528 MB)"
)
LPIPS_ALEX_HEADS = NeededWeights(
    "lpips-alex.pth", "LPIPS (AlexNet)", "the PyPI package lpips (lpips/weights/v0.1/alex.pth, 6 kB)"
)
LPIPS_VGG_HEADS = NeededWeights(
    "lpips-vgg.pth", "LPIPS (VGG)", "the PyPI package lpips (lpips/weights/v0.1/vgg.pth, 7 kB)"
)
CLIP = NeededWeights("clip", "CLIP score and CLIP-S", "the model folder openai/clip-vit-base-patch32 (transformers)")
DINO = NeededWeights("dino", "DINO features", "the model folder facebook/dino-vitb16 (transformers)")
I3D = NeededWeights(
    "i3d_torchscript.pt", "FVD with I3D", "the StyleGAN-V project (I3D on Kinetics-400, TorchScript, 51 MB)"
)
VIDEOMAE = NeededWeights("videomae", "FVD with VideoMAE", "the model folder MCG-NJU/videomae-base (transformers)")
INCEPTION = NeededWeights(
    "inception-2015-12-05.pt", "FID with Inception", "the StyleGAN3 project (Inception-v3, TorchScript, 95 MB)"
)


def weights_folder() -> Path:
    """`FOURREAL_WEIGHTS`, or `fourreal/weights` in the user's cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "fourreal" / "weights"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of a .pth state dict read without unpickling code.

    Raises:
        InputError: the file is neither, or damaged.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any reader's error means the same to the user
        raise InputError(f"{path} cannot be read as weights ({type(error).__name__}); fetch it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InputError(f"{path} is not a plain dictionary of tensors; a torchvision or lpips state dict was expected")
    return tensors


def content_hash(path: Path) -> str:
    """Sixteen hex digits of the SHA-256 of a file, or of all files of a folder with their names."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
