"""A frozen T5 in place of text pieces, from its folder to a generated clip."""

import io
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentencepiece import SentencePieceTrainer

from videolm.cli.main import main
from videolm.data.runtime.files import read_json, write_json
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.batch import Batch
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.rows import Rows
from videolm.lm.decoding.sampling import DrawSettings, Sampling
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.loss import loss_of
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.spans import Lengths
from videolm.tasks.task import load_task
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tokenizers.text.frozen_encoder import TextEncoder, load_text_tokenizer
from videolm.tokenizers.text.kept_embeddings import KeptEmbeddings, write_packs

WIDTH = 12
TINY = LMConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=48, rotary_dims=(4, 2, 2), feature_width=WIDTH)


def write_t5(folder: Path, captions: list[str], seed: int) -> None:
    """A very small T5 encoder with random weights and pieces of its own."""
    from transformers import T5Config, T5EncoderModel

    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(captions), model_writer=written, vocab_size=60, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=3, num_threads=1,
    )  # fmt: skip
    torch.manual_seed(seed)
    config = T5Config(vocab_size=200, d_model=WIDTH, d_kv=4, d_ff=16, num_layers=2, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(written.getvalue())


@pytest.fixture(scope="module")
def captions(corpus) -> list[str]:
    return [caption_of(corpus.scene(number), 0) for number in range(40)]


@pytest.fixture(scope="module")
def t5(captions, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    write_t5(folder, captions, seed=0)
    return folder


def test_embeddings_are_those_of_transformers(t5, captions):
    from transformers import T5EncoderModel, T5Tokenizer

    ids = T5Tokenizer.from_pretrained(t5)(captions[0], return_tensors="pt").input_ids
    assert ids[0, -1] == 1  # the end
    assert (ids > 2).sum() > 3  # words are known
    expected = T5EncoderModel.from_pretrained(t5).eval()(input_ids=ids).last_hidden_state[0]
    found = TextEncoder.open(str(t5)).encode(captions[0])
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)  # of bfloat16
    assert len(TextEncoder.open(str(t5)).encode(captions[0], 4)) == 4
    assert TextEncoder.open(str(t5)).encode(" ").shape == (0, WIDTH)


def test_kept_embeddings_are_read_instead_of_made(t5, captions, tmp_path, monkeypatch):
    encoder = TextEncoder.open(str(t5), tmp_path)
    first = encoder.encode(captions[0], 64)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    monkeypatch.setattr(encoder, "_encode", None)  # whatever is not kept fails now
    assert torch.equal(encoder.encode(captions[0], 64), first)
    with pytest.raises(TypeError):
        encoder.encode(captions[1], 64)


def test_texts_that_are_read_together_have_the_embeddings_of_texts_alone(t5, captions):
    encoder = TextEncoder.open(str(t5))
    for text, together in zip(captions[:9], encoder.encode_batch(captions[:9], 20), strict=True):
        torch.testing.assert_close(together.float(), encoder.encode(text, 20), rtol=1e-2, atol=1e-2)


def test_captions_of_shards_are_embedded_once_and_read_by_a_training(
    coded_run, t5, tmp_path, monkeypatch, capsys
):
    command = ["embed", str(coded_run / "shards"), "--text-encoder", str(t5), "--out", str(tmp_path / "kept")]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert main(command) == 0 and ", 0 of them new" in capsys.readouterr().out
    assert "--data.text_pieces 64 --data.caption_variation 0" in said
    monkeypatch.setattr(TextEncoder, "_encode", None)  # whatever is not kept fails now
    data = LMDataModule(
        str(coded_run / "model"), {"text_to_video": 1.0},
        shards=str(coded_run / "shards"), text_encoder=str(t5), text_cache=tmp_path / "kept",
        text_pieces=64, caption_variation=0, batch_size=2,
    )  # fmt: skip
    batches = data._training_batches()
    assert any(batches[step].features is not None for step in range(3))
    with pytest.raises(TypeError):
        data.text_tokenizer.encode("a caption of no clip", 64)


def test_a_text_that_was_cut_elsewhere_is_not_kept(t5, captions, tmp_path):
    encoder = TextEncoder.open(str(t5), tmp_path)
    long, short = captions[0], "a"
    list(write_packs(encoder.packs, [long, short], lambda part: encoder.encode_batch(part, 6), 6))
    kept = KeptEmbeddings(encoder.packs)
    assert len(kept) == 2 and torch.equal(kept.get(long, 6).float(), encoder.encode(long, 6))
    assert kept.get(long, 7) is None and kept.get(long, None) is None and kept.get("b", 6) is None
    assert kept.get(short, 64) is not None and kept.get(short, 1) is None


def test_a_folder_names_the_encoder_and_refuses_another(t5, captions, tmp_path):
    TextEncoder.open(str(t5)).save_pretrained(tmp_path / "text_tokenizer")
    assert not list((tmp_path / "text_tokenizer").glob("*.safetensors"))
    assert isinstance(load_text_tokenizer(tmp_path / "text_tokenizer"), TextEncoder)
    write_t5(tmp_path / "other", captions, seed=1)
    config = tmp_path / "text_tokenizer" / "config.json"
    write_json(config, read_json(config) | {"source": str(tmp_path / "other")})
    with pytest.raises(ValueError, match="is not the one"):
        load_text_tokenizer(tmp_path / "text_tokenizer")
    with pytest.raises(FileNotFoundError, match="has no tokenizer"):
        TextEncoder.open(str(tmp_path))


@pytest.fixture
def make_sequence():
    """text_to_video over a small grid with so many embedded pieces; the same ids for the same number."""
    vocabulary = Vocabulary.of_sizes(visual=(4, 4), audio=())
    codes = torch.randint(16, (2, 2, 2), generator=torch.Generator().manual_seed(0))

    def make(pieces: int, seed: int = 0, is_blank: bool = False):
        lengths = Lengths(2, 2, 2, text=pieces, text_width=WIDTH)
        layout = Layout.of(load_task("text_to_video"), vocabulary, lengths)
        text = torch.randn(pieces, WIDTH, generator=torch.Generator().manual_seed(seed))
        parts = {"text": text} if pieces else {}
        return layout.blank(parts) if is_blank else layout.pack(parts | {"visual": codes})

    return make


def test_embedded_text_stands_at_placeholders(make_sequence):
    sequence = make_sequence(3)
    placeholder = Vocabulary.of_sizes(visual=(4, 4), audio=()).special("text")
    assert (sequence.ids == placeholder).nonzero().flatten().tolist() == sequence.features_at.tolist()
    assert sequence.features.shape == (3, WIDTH)
    assert make_sequence(0).features is None


@pytest.fixture
def lm() -> PrefixLM:
    torch.manual_seed(0)
    model = PrefixLM(TINY, Vocabulary.of_sizes(visual=(4, 4), audio=()))
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def test_what_a_text_says_reaches_every_code(lm, make_sequence):
    batch = Batch.collate([make_sequence(3)])
    features = batch.features
    assert features is not None
    features.requires_grad_()
    hidden = lm(batch)[0, int(batch.prefix_length) :]
    gradients = [torch.autograd.grad(each.sum(), [features], retain_graph=True)[0] for each in hidden]
    assert all((gradient.abs().sum(1) > 0).all() for gradient in gradients)


def test_packed_rows_have_the_losses_of_rows_of_their_own(lm, make_sequence):
    some = [make_sequence(3, 1), make_sequence(0), make_sequence(5, 2)]
    alone = [loss_of(lm, Batch.collate([each])).total for each in some]
    packed = loss_of(lm, Batch.of_rows([some[:2], some[2:]])).total
    torch.testing.assert_close(packed, sum(alone), rtol=1e-4, atol=0)


def test_prompts_of_equal_ids_and_other_embeddings_are_not_shared(lm, make_sequence):
    """Every row gets what it gets alone, and equal prompts still go through the model once."""
    prompts = [make_sequence(*each, is_blank=True) for each in ((3, 1), (3, 2), (4, 3), (3, 1), (3, 2))]
    plain = [make_sequence(0, is_blank=True)] * len(prompts)

    def made(numbers: list[int]) -> list[list[int]]:
        generators = [torch.Generator().manual_seed(number) for number in numbers]
        given, others = (Batch.collate([each[number] for number in numbers]) for each in (prompts, plain))
        ids = generate(lm, given, DrawSettings(guidance_scale=2.0), generators, others)
        return [row[: len(prompts[number])].tolist() for row, number in zip(ids, numbers, strict=True)]

    together = made(list(range(len(prompts))))
    assert together == [made([number])[0] for number in range(len(prompts))]
    rows = Rows.align(lm, [Batch.collate(prompts), Batch.collate(plain)])
    assert sum(len(each.shown) for each in rows.prompts) == 4


def test_a_model_without_embeddings_refuses_them(make_sequence):
    model = PrefixLM(replace(TINY, feature_width=0), Vocabulary.of_sizes(visual=(4, 4), audio=()))
    with pytest.raises(ValueError, match="features of width 12"):
        model(Batch.collate([make_sequence(3)]))


def test_a_run_with_a_text_encoder_trains_and_generates(coded_run, t5, captions, tmp_path, capsys):
    command = ["lm", "fit", "--config", "debug", "--out", str(tmp_path / "run")]
    command += ["--data.model", str(coded_run / "model"), "--data.shards", str(coded_run / "shards")]
    command += ["--data.text_encoder", str(t5), "--data.text_cache", str(tmp_path / "cache")]
    command += ["--data.tasks", "{text_to_video: 1, unconditional: 1}"]
    assert main(command) == 0, capsys.readouterr().err
    folder = tmp_path / "run" / "model"
    assert read_json(folder / "lm" / "config.json")["feature_width"] == WIDTH
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    model = VideoLM.from_pretrained(folder)
    prompt, sampling = Prompt(text=captions[0], negative=captions[1]), Sampling(guidance_scale=2.0)
    clip = model.generate("text_to_video", prompt, sampling=sampling)
    assert clip.num_frames == model.clips.num_frames


def test_an_encoder_outside_the_model_is_named_or_refused(t5, tmp_path, monkeypatch):
    folder = tmp_path / "model" / "text_tokenizer"
    TextEncoder.open(str(t5)).save_pretrained(folder)
    with pytest.warns(UserWarning, match="outside the model's own folder"):
        load_text_tokenizer(folder)
    monkeypatch.setenv("VIDEOLM_CONFINE", "1")
    with pytest.raises(ValueError, match="--confine refuses"):
        load_text_tokenizer(folder)
    shutil.copytree(t5, folder.parent / "t5")
    TextEncoder.open(str(folder.parent / "t5")).save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load_text_tokenizer(folder)
