"""`AppSettings`: how the web app is started. Imports no torch, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.core.shipped import SHIPPED_NAME
from fourreal.job.request import DEFAULTS, WEIGHT_TYPE, Offload, WeightChoice

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """How the web app is started; a browser can choose among its models and change nothing else.

    Raises:
        InputError: no model, two of the same label, or no room for uploads.
    """

    port: int = 7860
    """Port to listen on; the next free one is taken when it is in use, any for 0."""
    out: Path | None = None
    """Keep a copy of every finished run in this folder."""
    model: tuple[str, ...] = (SHIPPED_NAME,)
    """Models the page offers, as `fourreal run --model` takes them; the first is preselected."""
    recon: str = SHIPPED_NAME
    """mini (the package's own), vggt-1b (from the Hugging Face cache), or a folder."""
    device: str = "auto"
    """auto, cpu or cuda."""
    weight_type: WeightChoice = WEIGHT_TYPE
    """Number format of the generators' weights; int8 (with torchao) halves bfloat16, auto takes what fits."""
    offload: Offload = DEFAULTS.offload
    """What leaves the GPU while it is not in use: nothing, whole parts, single blocks, or what the plan needs."""
    max_upload_mb: int = 200
    """Largest clip that can be uploaded."""
    host: str = "127.0.0.1"
    """127.0.0.1 can be reached from this machine only; another lets others in, without a password."""
    open: bool = True
    """Open the browser at once."""

    def __post_init__(self) -> None:
        if not self.model or self.max_upload_mb < 1:
            raise InputError(f"the app needs at least one model and room for uploads of 1 MB; got {self}")
        if len(set(self.labels)) < len(self.model):
            raise InputError(f"labels of models on the page must differ; got {', '.join(self.labels)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the models on the page, without folders: paths of this machine stay private."""
        return tuple(Path(model).name for model in self.model)

    @property
    def local_only(self) -> bool:
        return self.host in LOCAL_NAMES

    def labelled(self, label: str) -> str:
        """The model of a label. Raises InputError where there is none."""
        if label not in self.labels:
            raise InputError(f"the models here are {', '.join(self.labels)}; choose one of them")
        return self.model[self.labels.index(label)]
