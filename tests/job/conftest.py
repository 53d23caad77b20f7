"""Runs with tiny random networks, on which a second thread costs more than it gains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from job.tiny_jobs import make_quick, save_tiny_models


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Leave out what takes its time and is not tested here.

    By module: these folders are no packages, and a package's fixture would last until the run ends, in every folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generator used to 3 views x 5 frames of 16x16 and a reconstruction network."""
    return save_tiny_models(tmp_path_factory.mktemp("models"))
