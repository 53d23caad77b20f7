"""Muon: momentum whose steps are orthogonal matrices, for the weight matrices of transformer blocks.

A gradient's few large singular directions drown the others; replacing all singular values by one moves every
direction alike. The nearest orthogonal matrix is found by polynomial iterations, which need only products.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (quintic iteration).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

QUINTIC, QUINTIC_STEPS = (3.4445, -4.7750, 2.0315), 5
CUBIC_STEPS = 2


def orthogonalised(matrix: Float[Tensor, "N M"]) -> Float[Tensor, "N M"]:
    """About the nearest matrix with orthonormal rows or columns, whichever are fewer.

    The quintic steps lift every singular value above 0.7 but leave it up to 1.2; two cubic steps, which converge
    to 1 from there, make it a projection to 2 % rather than an approximate one. Directions with a singular value
    below about 1e-3 of the norm are not lifted all the way.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.mT).to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x / (x.norm() + 1e-7)
    a, b, c = QUINTIC
    for _ in range(QUINTIC_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    for _ in range(CUBIC_STEPS):
        x = 1.5 * x - 0.5 * (x @ x.mT) @ x
    return (x if wide else x.mT).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """For 2-D parameters, plain or sharded by FSDP2 (a sharded gradient is gathered to be orthogonalised), and for
    kernels of convolutions, whose matrix has a row for every output channel.

    `torch.optim.Muon` (2.13) has the same momentum and learning rate but stops after the quintic iterations, always in
    bfloat16. For gradients whose singular values fall from 1 to 1e-3, one step of it has singular values of 0.17 to
    1.2 and differs from ours (0.34 to 1) by 23 to 24 % of its norm, so recipes and resumed runs would end elsewhere.

    Args:
        momentum: of the running gradient; Nesterov's look-ahead is used.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                running = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(running, group["momentum"])
                rows, columns = parameter.shape[0], parameter[0].numel()
                # A tall matrix changes its output by as much per unit of input as a square one.
                lr = group["lr"] * max(1.0, rows / columns) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(_orthogonalised_like(ahead), alpha=-lr)


def _orthogonalised_like(gradient: Tensor) -> Tensor:
    if not isinstance(gradient, DTensor):
        return orthogonalised(gradient.flatten(1)).view_as(gradient)
    whole = orthogonalised(gradient.full_tensor())
    return distribute_tensor(whole, gradient.device_mesh, gradient.placements)
