"""8-bit weights for the transformer's blocks: half of bfloat16's memory, computed in bfloat16."""

from __future__ import annotations

import importlib.util

from torch import Tensor, nn

from fourreal.core.errors import InputError
from fourreal.video.transformer import ViewTimeTransformer


def quantize_blocks(transformer: ViewTimeTransformer) -> None:
    """Store every linear layer of the blocks as int8 with a scale per row, in place.

    Embeddings and the output projection stay: they are small, and errors there are seen at once.

    Raises:
        InputError: torchao is not installed.
    """
    if importlib.util.find_spec("torchao") is None:
        raise InputError(
            "int8 weights need torchao, which is not installed; install it with: pip install 'fourreal[int8]'"
        )
    from torchao.quantization import Int8WeightOnlyConfig, quantize_  # pyright: ignore[reportMissingImports]

    quantize_(transformer.blocks, Int8WeightOnlyConfig())


def is_quantized(module: nn.Module) -> bool:
    """Whether any parameter is stored in another form than a plain tensor."""
    return any(hasattr(parameter, "__tensor_flatten__") for parameter in module.parameters())


def stored_bytes(module: nn.Module) -> int:
    """Bytes that the parameters take; a quantised one is asked for its parts."""
    return sum(plain.numel() * plain.element_size() for p in module.parameters() for plain in plain_tensors(p))


def plain_tensors(tensor: Tensor) -> list[Tensor]:
    """The tensors a quantised one is made of, or the tensor itself."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()  # pyright: ignore[reportAttributeAccessIssue]
    return [plain for name in names for plain in plain_tensors(getattr(tensor, name))]
