"""One process or many: who this process is, sharding by FSDP2, and whole tensors out of shards.

Under `torchrun` every process makes its own share of the samples; FSDP2 shards parameters, gradients and
optimiser state block by block. NCCL on CUDA, gloo on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from fourreal.core.devices import resolve_device


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Attributes:
        rank: its number; 0 writes files.
        count: how many there are.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over all processes, the same everywhere."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
            value = value / self.count
        return value

    def agree(self, flag: bool) -> bool:
        """The flag of rank 0."""
        if self.count == 1:
            return flag
        shared = torch.tensor([float(flag)], device=self.device)
        dist.broadcast(shared, 0)
        return bool(shared.item())

    def wait(self) -> None:
        if self.count > 1:
            dist.barrier()


def in_any_process(flag: bool, device: torch.device) -> bool:
    """Whether a flag is set in any process; all of them have to ask."""
    if not (dist.is_available() and dist.is_initialized()):
        return flag
    shared = torch.tensor([float(flag)], device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return bool(shared.item())


def join_processes(device: str = "auto") -> Processes:
    """Join the group torchrun started, or be alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    where = resolve_device(device)
    if count == 1:
        return Processes(0, 1, where)
    if where.type == "cuda":
        where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(where)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    return Processes(dist.get_rank(), count, where)


def leave_processes(processes: Processes) -> None:
    if processes.count > 1 and dist.is_initialized():
        dist.destroy_process_group()


def shard(model: nn.Module, blocks: Iterable[nn.Module], processes: Processes) -> None:
    """Shard a model in place, a unit a block and one for the rest; nothing for a single process."""
    if processes.count == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(processes.device.type, (processes.count,))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(tensor: Tensor) -> Tensor:
    """All of a possibly sharded tensor, on the CPU; every process has to call it."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


@torch.no_grad()
def fill(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a possibly sharded one."""
    if isinstance(target, DTensor):
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.copy_(value)
