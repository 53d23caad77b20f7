"""Text encoders: what Wan expects of padding and length, prompts of any kind, one sentence for each mistake."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_wan import TEXT_DIM, tiny_tokenizer, tiny_umt5
from transformers import BertConfig, BertModel, BertTokenizer

from fourreal.core.errors import InputError
from fourreal.core.notes import UserNote
from fourreal.video import text
from fourreal.video.text import (
    NoTextEncoder,
    SmallTextEncoder,
    TextEncoder,
    TransformersTextEncoder,
    clean_prompt,
    load_text_encoder,
)


@pytest.fixture(scope="module")
def umt5() -> TransformersTextEncoder:
    return TransformersTextEncoder(tiny_umt5(), tiny_tokenizer())


def test_umt5_pads_with_zeros_to_512(umt5: TransformersTextEncoder) -> None:
    tokens = umt5.encode(["a red ball bounces", ""])
    assert tokens.shape == (2, 512, TEXT_DIM)
    lengths = [len(umt5.tokenizer(prompt).input_ids) for prompt in ("a red ball bounces", "")]
    assert lengths[1] == 1  # the end-of-text token alone
    for row, length in zip(tokens, lengths, strict=True):
        assert row[:length].abs().sum(-1).all()
        assert not row[length:].any()


def test_a_prompt_does_not_see_its_padding_or_its_neighbours(umt5: TransformersTextEncoder) -> None:
    ids = umt5.tokenizer(["a red ball"], return_tensors="pt").input_ids
    alone = umt5.model(input_ids=ids).last_hidden_state[0]
    together = umt5.encode(["two foxes run through tall grass", "a red ball"])[1, : ids.shape[1]]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("prompt", ["", "   ", "红球 在 木地板 上 弹跳", "кот 🐱 & 'dog'", "ß" * 100, "\n\ttabs\n"])
def test_any_text_is_accepted(umt5: TransformersTextEncoder, prompt: str) -> None:
    assert torch.isfinite(umt5.encode([prompt])).all()


def test_long_prompts_are_cut_and_told(umt5: TransformersTextEncoder) -> None:
    with pytest.warns(UserNote, match="the model reads 512; the end is not used"):
        tokens = umt5.encode(["ball " * 900])
    assert tokens.shape == (1, 512, TEXT_DIM)
    assert tokens[0, -1].any()


def test_prompts_are_cleaned_as_wan_does() -> None:
    assert clean_prompt("  a &amp;amp; b\n\t c ") == "a & b c"
    if importlib.util.find_spec("ftfy"):
        assert clean_prompt("cafÃ©") == "café"


def test_umt5_folder_round_trip(umt5: TransformersTextEncoder, tmp_path: Path) -> None:
    umt5.save(tmp_path)
    assert json.loads((tmp_path / "text_encoder" / "config.json").read_text())["model_type"] == "umt5"
    loaded = load_text_encoder(tmp_path)
    prompt = ["two foxes run"]
    torch.testing.assert_close(loaded.encode(prompt), umt5.encode(prompt))


def test_no_text_encoder_accepts_only_nothing(tmp_path: Path) -> None:
    encoder = NoTextEncoder(24)
    assert torch.equal(encoder.encode(["", " "]), torch.zeros(2, 1, 24))
    with pytest.raises(InputError, match=r"no text encoder.*'a cat'.*leave the prompt empty"):
        encoder.encode(["a cat"])
    encoder.save(tmp_path)
    assert load_text_encoder(tmp_path) == encoder


def test_damaged_folders_are_refused(umt5: TransformersTextEncoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_text_encoder(tmp_path)
    umt5.save(tmp_path)
    config = tmp_path / "text_encoder" / "config.json"
    released = config.read_text()
    config.write_text('{"model_type": "clip"}')
    with pytest.raises(InputError, match="'clip'; expected umt5"):
        load_text_encoder(tmp_path)
    config.write_text(released)
    weights = tmp_path / "text_encoder" / "model.safetensors"
    tensors = load_file(weights)
    tensors.pop("encoder.block.1.layer.0.SelfAttention.q.weight")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks weights, first encoder\.block\.1"):
        load_text_encoder(tmp_path)
    weights.write_bytes(b"cut")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_text_encoder(tmp_path)
    (tmp_path / "tokenizer").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="download the whole model folder"):
        load_text_encoder(tmp_path)


@pytest.fixture
def packaged_bert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A stand-in for the package that carries MiniLM: same file layout, tiny weights. Returns its width."""
    package = tmp_path / "packaged_bert"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\ndef get_model_path(): return Path(__file__).parent / 'model'\n"
    )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball"]
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(package / "model")
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(package / "model")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text, "SMALL_PACKAGE", "packaged_bert")
    yield 16  # pyright: ignore[reportReturnType]
    sys.modules.pop("packaged_bert", None)


def test_small_encoder_loads_from_its_package_and_stores_its_name_only(packaged_bert: int, tmp_path: Path) -> None:
    encoder = SmallTextEncoder(max_tokens=12)
    tokens = encoder.encode(["a red ball", ""])
    assert tokens.shape == (2, 12, packaged_bert)
    assert (tokens.abs().sum(-1) > 0).sum(1).tolist() == [5, 2]
    with pytest.warns(UserNote, match="reads 12"):
        encoder.encode(["ball " * 50])
    encoder.save(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").rglob("*.*")] == ["config.json"]
    torch.testing.assert_close(load_text_encoder(tmp_path / "model").encode(["a red ball", ""]), tokens)


def test_small_encoder_names_the_extra_when_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "SMALL_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(InputError, match=r"pip install 'fourreal\[text\]'"):
        SmallTextEncoder()


def test_the_real_small_encoder_tells_meanings_apart() -> None:
    pytest.importorskip(text.SMALL_PACKAGE, reason="the text extra is not installed")
    encoder = SmallTextEncoder()
    assert isinstance(encoder, TextEncoder)
    prompts = ["a red ball bounces on the floor", "a crimson sphere hops on the ground", "tax law of 1973"]
    tokens = encoder.encode(prompts)
    assert tokens.shape == (3, 128, 384)
    sentences = tokens.sum(1) / (tokens.abs().sum(-1, keepdim=True) > 0).sum(1)
    alike = torch.cosine_similarity(sentences[:1], sentences)
    assert alike[1] > alike[2] + 0.2
