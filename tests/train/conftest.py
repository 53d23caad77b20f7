"""The tests of this room train tiny networks, on which a second thread costs more than it gains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    import numba

    threads, of_numba = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    # The CPU rasteriser adds gradients in the order its threads finish; one thread always adds in one order.
    numba.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    numba.set_num_threads(of_numba)
