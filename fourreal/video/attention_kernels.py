"""Unmasked attention that also returns the log-sum-exp of its logits, one class per PyTorch kernel.

`torch.nn.functional.scaled_dot_product_attention` hides the log-sum-exp, and autograd through the
lower-level operators silently drops its gradient, so both directions are called by hand here. The
backward takes the output and log-sum-exp as arguments: given those of a *larger* softmax of which
these keys are one part, it returns this part's share of the gradient.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.torch_version import TorchVersion

KernelName = Literal["auto", "cpu", "flash", "cudnn", "efficient"]
"""auto: `kernel_for` chooses. cpu: PyTorch's CPU flash kernel. flash, cudnn: CUDA in half
precision. efficient: CUDA in float32 (and half)."""

Gradients = tuple[Tensor, Tensor, Tensor]


class AttentionKernel(ABC):
    """Softmax attention of `[batch heads tokens width]` tensors, forward and backward."""

    name: ClassVar[str]

    @abstractmethod
    def forward(
        self, query: Float[Tensor, "N A L E"], key: Float[Tensor, "N A L E"], value: Float[Tensor, "N A L E"]
    ) -> tuple[Float[Tensor, "N A L E"], Float[Tensor, "N A L"], tuple[Tensor, ...]]:
        """Output, log-sum-exp, and random state the backward wants back (there is no dropout; it is not read)."""

    @abstractmethod
    def backward(
        self,
        gradient: Float[Tensor, "N A L E"],
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Float[Tensor, "N A L E"],
        logsumexp: Float[Tensor, "N A L"],
        random_state: tuple[Tensor, ...],
    ) -> Gradients:
        """Gradients of query, key and value under the softmax that `output` and `logsumexp` describe."""


class CpuKernel(AttentionKernel):
    """PyTorch's blocked CPU attention; float32, float64 and half types."""

    name: ClassVar[str] = "cpu"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        output, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)
        return output, logsumexp, ()

    def backward(
        self,
        gradient: Tensor,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Tensor,
        logsumexp: Tensor,
        random_state: tuple[Tensor, ...],
    ) -> Gradients:
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            gradient, *inputs, output, logsumexp, 0.0, False
        )


class FlashKernel(AttentionKernel):
    """FlashAttention on CUDA: float16 and bfloat16, head width a multiple of 8 up to 256."""

    name: ClassVar[str] = "flash"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        result = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)
        return result[0], result[1], (result[6], result[7])

    def backward(
        self,
        gradient: Tensor,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Tensor,
        logsumexp: Tensor,
        random_state: tuple[Tensor, ...],
    ) -> Gradients:
        length = inputs[0].shape[-2]
        return torch.ops.aten._scaled_dot_product_flash_attention_backward(
            gradient, *inputs, output, logsumexp.contiguous(), None, None, length, length, 0.0, False, *random_state
        )


class CudnnKernel(AttentionKernel):
    """cuDNN attention on CUDA: float16 and bfloat16, head width a multiple of 8 up to 128.

    Inputs are made contiguous: called below the public function, it has given wrong results on
    transposed ones.
    """

    name: ClassVar[str] = "cudnn"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        result = torch.ops.aten._scaled_dot_product_cudnn_attention(
            query.contiguous(), key.contiguous(), value.contiguous(), None, True
        )
        # [N A L 1] since PyTorch 2.9, [N A L] before.
        return result[0], result[1].reshape(query.shape[:-1]), (result[6], result[7])

    def backward(
        self,
        gradient: Tensor,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Tensor,
        logsumexp: Tensor,
        random_state: tuple[Tensor, ...],
    ) -> Gradients:
        length = inputs[0].shape[-2]
        tensors = [tensor.contiguous() for tensor in (gradient, *inputs, output, logsumexp)]
        if torch.__version__ >= TorchVersion("2.9"):
            tensors[-1] = tensors[-1].unsqueeze(-1)
        return torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
            *tensors, *random_state, None, None, None, length, length, 0.0, False
        )


class EfficientKernel(AttentionKernel):
    """Memory-efficient attention on CUDA: the fused kernel that takes float32."""

    name: ClassVar[str] = "efficient"

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        output, logsumexp, seed, offset = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, None, True
        )
        return output, logsumexp[..., : query.shape[-2]], (seed, offset)

    def backward(
        self,
        gradient: Tensor,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: Tensor,
        logsumexp: Tensor,
        random_state: tuple[Tensor, ...],
    ) -> Gradients:
        # The kernel reads the log-sum-exp in rows padded to 32, where infinity means no weight.
        padded = F.pad(logsumexp, (0, -logsumexp.shape[-1] % 32), value=torch.inf).contiguous()
        gradients = torch.ops.aten._scaled_dot_product_efficient_attention_backward(
            gradient, *inputs, None, output, padded, *random_state, 0.0, [True, True, True, False]
        )
        return gradients[:3]


KERNELS: dict[str, AttentionKernel] = {
    kernel.name: kernel for kernel in (CpuKernel(), FlashKernel(), CudnnKernel(), EfficientKernel())
}


@torch.compiler.assume_constant_result
@functools.cache
def kernel_for(device: torch.device, dtype: torch.dtype, head_width: int) -> AttentionKernel | None:
    """The fastest kernel that takes such tensors, or None where none does.

    On the CPU its own. On CUDA with float32 the efficient one; with half precision cuDNN from compute
    capability 9 (Hopper) on, flash before. Nothing on CUDA takes float64, or a head width that is no multiple of 8.
    """
    if device.type == "cpu":
        return KERNELS["cpu"]
    if device.type != "cuda" or head_width % 8 or head_width > 256:
        return None
    if dtype == torch.float32:
        return KERNELS["efficient"]
    if dtype not in (torch.float16, torch.bfloat16):
        return None
    hopper = torch.cuda.get_device_capability(device)[0] >= 9
    return KERNELS["cudnn" if hopper and head_width <= 128 else "flash"]
