"""Where a generator's parts are: a folder on disk, or one downloaded from the model hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fourreal.core.errors import InputError
from fourreal.core.shipped import shipped_folder
from fourreal.video.presets import RELEASED

PARTS = (
    "transformer",
    "transformer_2",
    "vae",
    "text_encoder",
    "tokenizer",
    "scheduler",
    "image_encoder",
    "image_processor",
)


def find_model_folder(source: str | Path, parts: Sequence[str] = PARTS, known: Sequence[str] = ()) -> Path:
    """The folder of a generator, downloaded unless it is there already.

    Args:
        source: `mini` for the one that comes with the package, a folder, a name in `presets.RELEASED`, or a hub id
            `owner/name`.
        parts: which of its folders to download.
        known: names beyond these that the caller knows what to do with, for the message.

    Raises:
        InputError: none of these, or it cannot be downloaded.
    """
    folder = shipped_folder(source, "video") or Path(source)
    if folder.is_dir():
        return folder
    hub_id = RELEASED.get(str(source), str(source))
    if hub_id.count("/") != 1 or hub_id.startswith((".", "/", "~")):
        names = ", ".join(["mini", *RELEASED, *known])
        raise InputError(f"'{source}' is no folder, no hub id (owner/name) and no known model; known are {names}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["model_index.json", *(f"{part}/*" for part in parts)]))
    except Exception as error:
        # Whatever the client raises (no network, no such model, no permission), the way out is the same.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cannot download {hub_id} ({reason}); where there is a network run `hf download {hub_id} "
            "--local-dir FOLDER`, then give FOLDER"
        ) from error
