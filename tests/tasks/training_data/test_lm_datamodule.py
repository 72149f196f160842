import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from encoding import encode_source
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from sides import groups

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter
from videolm.data.codes.trained_clips import TrainedClips
from videolm.data.loading.clip_datamodule import ClipDataModule
from videolm.data.media.clip import Clip, write_clip
from videolm.data.sources.caption_variation import FORMS, varied
from videolm.data.sources.held_out import place_of
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.lm.batch import Batch
from videolm.lm.decoding.generate import generate
from videolm.lm.decoding.sampling import DrawSettings
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.task import all_tasks, film_task_names, load_task
from videolm.tasks.training_data import sample_callback
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tasks.training_data.sample_callback import SampleCallback
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.text.natural_text import Reading
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SIZES = {"height": 16, "width": 16, "num_frames": 9, "fps": 8.0}
TASKS = dict.fromkeys(film_task_names(), 1.0)
NUM_CLIPS = 40
TINY = LMConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=32, rotary_dims=(4, 2, 2))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder with untrained tokenizers, and shards of random codes; the last 8 are held out."""
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    VideoTokenizer(VideoTokenizerConfig(bits=8, channels=4, multipliers=(1, 1), patch=8,
                                        spatial_strides=(1,), temporal_strides=(4,), temporal_kernel=4)
                   ).save_pretrained(run / "model" / "video_tokenizer")  # fmt: skip
    config = AudioTokenizerConfig(
        sample_rate=8000, ratios=(32, 25), num_filters=2, hidden_size=4, codebook_size=8
    )
    audio = AudioTokenizer.of_config(config)
    audio.set_codebooks(torch.randn(config.num_levels, config.codebook_size, config.hidden_size))
    audio.save_pretrained(run / "model" / "audio_tokenizer")
    clips = ClipEncoder.from_pretrained(run / "model", **SIZES, tasks=all_tasks()).clips
    writer = ShardWriter(run / "shards", clips, {"source": "random"})
    corpus, coded = Corpus(**SIZES), []
    sides = groups(held_out=False, number=32, share=0.2) + groups(held_out=True, number=8, share=0.2)
    for number in range(NUM_CLIPS):
        sizes = {name: 8 if name == "audio" else 256 for name in clips.shapes}
        codes = {name: torch.randint(sizes[name], shape) for name, shape in clips.shapes.items()}
        caption = caption_of(corpus.scene(number), 0)
        coded.append(CodedClip(codes, (caption,), f"file-{number}", {"group": sides[number]}))
    writer.write(0, coded)
    writer.finish()
    return run


@pytest.fixture
def settings(run) -> dict:
    return {
        "model": str(run / "model"),
        "shards": str(run / "shards"),
        "tasks": TASKS,
        "batch_size": 4,
        "validation_share": 0.2,
        "text_vocab_size": 400,
    }


def rewritten(run: Path, folder: Path, change) -> str:
    """The shards of `run` with every clip changed: change(number, clip) -> clip."""
    reader = ShardReader(run / "shards")
    writer = ShardWriter(folder, reader.clips, {"source": "changed"})
    writer.write(0, [change(number, reader[number]) for number in range(len(reader))])
    writer.finish()
    return str(folder)


def some_batches(data: LMDataModule, count: int = 30) -> list[Batch]:
    batches: list[Batch] = []
    loader = data.train_dataloader()
    while len(batches) < count:
        loader.sampler.set_epoch(len(batches) // len(loader))
        batches += list(loader)
    return batches


def same(one: Batch, other: Batch) -> bool:
    return one.tasks == other.tasks and torch.equal(one.ids, other.ids)


def test_batches_hold_one_task_and_one_grid(settings):
    data = LMDataModule(**settings)
    batches = some_batches(data, 60)
    assert {batch.tasks[0] for batch in batches} == set(TASKS)
    for batch in batches:
        assert len(set(batch.tasks)) == 1 and len(batch) == 4
        assert len((batch.length - batch.prefix_length).unique()) == 1
        # Only texts differ in length: no padding without them.
        if load_task(batch.tasks[0]).text == "none":
            assert (batch.length == batch.ids.shape[1]).all()


def test_the_vocabulary_follows_from_the_tokenizers(settings):
    data = LMDataModule(**settings)
    factors = {block.name: block.factors for block in data.vocabulary.blocks}
    pieces = data.text_tokenizer.vocab_size
    assert factors == {
        "special": (256,), "visual": (16, 16), "audio_0": (8,), "audio_1": (8,), "text": (pieces,),
    }  # fmt: skip


def test_an_epoch_shows_every_training_clip_and_none_of_the_others(settings):
    data = LMDataModule(**settings | {"tasks": {"unconditional": 1.0}, "batch_size": 8})
    shown = {tuple(row[3:-2].tolist()) for batch in data.train_dataloader() for row in batch.ids}
    reader = ShardReader(settings["shards"])

    def ids_of(indices):
        start = data.vocabulary.block("visual").start
        return {tuple((reader[index].codes["visual"].flatten() + start).tolist()) for index in indices}

    assert len(data.training) == 32 and len(data.validation) == 8
    assert shown == ids_of(data.training.tolist())
    assert not shown & ids_of(data.validation)


def test_validation_shows_every_held_out_clip_once_for_every_task(settings):
    data = LMDataModule(**settings)
    counts = dict.fromkeys(TASKS, 0)
    batches = list(data.val_dataloader())
    for batch in batches:
        counts[batch.tasks[0]] += len(batch)
    assert counts == dict.fromkeys(TASKS, 8)
    assert all(same(*pair) for pair in zip(batches, data.val_dataloader(), strict=True))


def test_later_epochs_go_on_rather_than_repeat(settings):
    loader = LMDataModule(**settings).train_dataloader()
    first = list(loader)
    loader.sampler.set_epoch(1)
    assert not all(same(*pair) for pair in zip(first, loader, strict=True))


@pytest.mark.parametrize(("workers", "batching"), [(0, "grouped"), (2, "grouped"), (0, "packed")])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(settings, workers, batching):
    settings = settings | {"num_workers": workers, "batching": batching, "row_tokens": 200}
    settings |= {"batch_size": 1} if batching == "packed" else {}
    whole = list(LMDataModule(**settings).train_dataloader())
    stopped = LMDataModule(**settings).train_dataloader()
    batches = iter(stopped)
    for _ in range(3):
        next(batches)
    resumed = LMDataModule(**settings).train_dataloader()
    resumed.load_state_dict(stopped.state_dict())
    rest = list(resumed)
    assert len(rest) == len(whole) - 3
    assert all(same(*pair) for pair in zip(rest, whole[3:], strict=True))


def test_noise_is_on_the_given_latents_of_training_and_on_no_target(settings):
    settings = settings | {"tasks": {"frame_prediction": 1.0}}
    clean, noisy = (LMDataModule(**settings | {"given_noise": share}) for share in (0.0, 0.5))
    pairs = list(zip(clean.train_dataloader(), noisy.train_dataloader(), strict=True))
    for one, other in pairs:
        changed = one.ids != other.ids
        given = torch.arange(one.ids.shape[1]) < one.prefix_length[:, None]
        assert not changed[~given].any() and torch.equal(one.weight, other.weight)
        assert not changed[one.block != 1].any()  # 1: visual codes
    assert any((one.ids != other.ids).any() for one, other in pairs)
    assert all(same(*pair) for pair in zip(clean.val_dataloader(), noisy.val_dataloader(), strict=True))


class Checkpoint(Callback):
    """Write a checkpoint in the middle of the first epoch, and note the losses."""

    def __init__(self, path: Path):
        self.path = path
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))
        if trainer.global_step == 5:
            trainer.save_checkpoint(self.path)


def fit(settings, folder: Path, checkpoint: Path | None = None) -> list[float]:
    torch.manual_seed(0)
    data = LMDataModule(**settings)
    module = LanguageModelTraining(TINY, data.vocabulary, warmup_steps=2)
    noted = Checkpoint(folder / "middle.ckpt")
    trainer = Trainer(
        max_steps=12, default_root_dir=folder, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
        callbacks=[SampleCallback(every=10), noted],
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    return noted.losses


@pytest.mark.long
def test_a_stopped_fit_on_packed_rows_goes_on_to_the_same_losses(settings, tmp_path):
    settings = settings | {"batching": "packed", "batch_size": 2, "row_tokens": 200}
    whole = fit(settings, tmp_path / "whole")
    assert fit(settings, tmp_path / "rest", checkpoint=tmp_path / "whole" / "middle.ckpt") == whole[5:]


def test_a_stopped_fit_goes_on_to_the_same_losses_and_draws_samples(settings, tmp_path):
    whole = fit(settings, tmp_path / "whole")
    rest = fit(settings, tmp_path / "rest", checkpoint=tmp_path / "whole" / "middle.ckpt")
    assert len(whole) == 12
    assert rest == whole[5:]
    picture = Image.open(tmp_path / "whole" / "samples" / "step-000010.png")
    tasks = [load_task(name) for name in TASKS]
    visual = [task for task in tasks if any(part.kind == "visual" for part in task.outputs)]
    assert picture.height == len(visual) * (64 + 16)
    assert picture.width >= 9 * 64


def test_samples_are_drawn_as_the_model_is_to_recommend(settings, tmp_path, monkeypatch):
    said = {"text_to_video": {"temperature": 0.5, "guidance_scale": 2}, "unconditional": {"top_p": 0.9}}
    tasks = {"text_to_video": 1.0, "unconditional": 1.0}
    data = LMDataModule(**settings | {"tasks": tasks, "recommended_sampling": said})
    drawn = []

    def noted(model, batch, how, generators, unguided):
        drawn.append((how, None if unguided is None else len(batch.ids[0]) - len(unguided.ids[0])))
        return generate(model, batch, how, generators, unguided)

    monkeypatch.setattr(sample_callback, "generate", noted)
    sample_callback.write_samples(PrefixLM(TINY, data.vocabulary), data, tmp_path / "samples.png")
    (led, text), free = drawn
    assert led == DrawSettings(0.5, guidance_scale=2.0) and text > 0
    assert free == (DrawSettings(top_p=0.9), None)
    assert (tmp_path / "samples.png").is_file()


def test_processes_share_the_task_of_a_step_and_divide_its_clips(settings):
    data = LMDataModule(**settings | {"tasks": {"unconditional": 1.0, "video_to_audio": 1.0}})
    processes = [data._training_batches(rank, world_size=2) for rank in range(2)]
    for step in range(8):
        one, other = (process[step] for process in processes)
        assert one.tasks == other.tasks
        rows = {tuple(row) for batch in (one, other) for row in batch.ids.tolist()}
        assert len(rows) == 8


def packed(settings, **changes) -> LMDataModule:
    return LMDataModule(**settings | {"batching": "packed", "batch_size": 4, "row_tokens": 400} | changes)


@pytest.mark.long
def test_packed_rows_hold_examples_of_many_tasks_and_little_padding(settings):
    batches = some_batches(packed(settings), 8)
    examples = sum(len(batch.tasks) for batch in batches)
    assert {name for batch in batches for name in batch.tasks} == set(TASKS)
    assert all(batch.ids.shape[0] <= 4 and batch.ids.shape[1] <= 400 for batch in batches)
    assert examples / sum(len(batch) for batch in batches) > 3
    assert sum(batch.padding_share for batch in batches) / len(batches) < 0.15
    # No example is cut: each ends as its task does.
    end = packed(settings).vocabulary.special("eos")
    for batch in batches:
        last = batch.ids[batch.row, batch.start + batch.length - 1]
        closed = torch.tensor([load_task(name).is_closed for name in batch.tasks])
        assert torch.equal(last == end, closed)


def test_packing_keeps_the_weights_of_the_tasks(settings):
    weights = {"text_to_video": 3.0, "text_to_image": 1.0}
    batches = some_batches(packed(settings, tasks=weights, row_tokens=250), 10)
    drawn = [name for batch in batches for name in batch.tasks]
    assert drawn.count("text_to_video") / len(drawn) == pytest.approx(0.75, abs=0.1)


def test_packed_batches_follow_from_seed_step_and_rank(settings):
    ours, again, other = (
        packed(settings)._training_batches(rank, world_size=2) for rank in (0, 0, 1)
    )
    again[7]  # an order of calls that differs changes nothing
    for step in range(4):
        assert same(ours[step], again[step])
        assert not same(ours[step], other[step])


@pytest.mark.parametrize("images_first", [False, True])
def test_a_pass_over_packed_rows_shows_each_clip_once(settings, images_first):
    tasks = {"unconditional": 2.0, "text_to_image": 1.0, "frame_prediction": 1.0}
    data = packed(settings, tasks=tasks, batch_size=2, row_tokens=150, images_first=images_first)
    data.trainer = Trainer(max_steps=20, logger=False, enable_progress_bar=False)
    ranks = [data._training_batches(rank, world_size=2) for rank in range(2)]
    shown = []
    for batches in ranks:
        plain = batches.examples.example

        def noted(draw, step, number, with_text=True, own=batches.examples, plain=plain):
            shown.append((number, own._index(draw, number)))
            return plain(draw, step, number, with_text)

        batches.examples.example = noted
    for step in range(12):  # beyond the first quarter
        for batches in ranks:
            assert batches[step].ids.shape[1] <= 150
    numbers = sorted({number for number, _ in shown})
    assert numbers == list(range(len(numbers))) and len(numbers) >= 32
    assert len({number for number, _ in shown if number < 32}) == 32
    assert {index for number, index in shown if number < 32} == set(data.training.tolist())


def test_a_caption_that_finds_no_room_in_its_row_is_left_out(settings, monkeypatch):
    data = packed(settings, tasks={"text_to_image": 1.0}, row_tokens=120)
    roomy = data._training_batches()
    data.text_budget = replace(data.text_budget, usual=0)
    tight = data._training_batches()
    assert tight.phases[0].block.counts.total() / tight.phases[0].block.steps > (
        roomy.phases[0].block.counts.total() / roomy.phases[0].block.steps
    )
    assert max(tight[step].ids.shape[1] for step in range(3)) <= 120


def test_rows_too_short_for_a_task_are_refused(settings):
    with pytest.raises(ValueError, match=r"row_tokens is 30; task .* needs up to \d+ positions in one row"):
        packed(settings, row_tokens=30)


@pytest.mark.long
def test_images_first_counts_the_batches_of_the_whole_training(settings):
    weights = {"text_to_video": 1.0, "text_to_image": 1.0}
    data = LMDataModule(**settings | {"tasks": weights, "images_first": True})
    data.trainer = Trainer(max_steps=80, accumulate_grad_batches=2, logger=False, enable_progress_bar=False)
    batches = data._training_batches()
    images = [batches[step].tasks[0] == "text_to_image" for step in range(80)]
    assert sum(images[:40]) > 30 and sum(images[40:]) < 10
    data.trainer = Trainer(max_steps=-1, logger=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match=r"give trainer\.max_steps"):
        data._training_batches()


def test_clips_without_sound_are_never_shown_to_tasks_that_need_it(run, settings, tmp_path):
    def silence(number: int, clip: CodedClip) -> CodedClip:
        quiet = {name: codes for name, codes in clip.codes.items() if name != "audio"}
        return replace(clip, codes=quiet) if number % 2 else clip

    shards = rewritten(run, tmp_path / "shards", silence)
    data = LMDataModule(**settings | {"shards": shards, "tasks": {"video_to_audio": 1.0}})
    reader = ShardReader(shards)
    sounding = {index for index in range(NUM_CLIPS) if reader.has(index, "audio")}
    pool = data._training_batches().examples.pools.of["video_to_audio", 0]
    assert set(pool) == sounding & set(data.training)
    some_batches(data, 20)

    shards = rewritten(run, tmp_path / "silent", lambda number, clip: silence(1, clip))
    with pytest.raises(ValueError, match=r"no clip has what task video_to_audio needs: .*audio codes"):
        LMDataModule(**settings | {"shards": shards, "tasks": {"video_to_audio": 1.0}})
    tasks = {"text_to_video": 4.0, "video_to_audio": 1.0, "unconditional": 2.0}
    with pytest.raises(ValueError, match=r"audio codes; .*{text_to_video: 2, unconditional: 1}"):
        LMDataModule(**settings | {"shards": shards, "tasks": tasks})


def test_tasks_that_need_a_text_see_clips_with_captions_only(run, settings, tmp_path):
    shards = rewritten(run, tmp_path / "some", lambda number, clip: replace(
        clip, captions=clip.captions if number % 3 else ()))  # fmt: skip
    data = LMDataModule(**settings | {"shards": shards})
    pools = data._training_batches().examples.pools.of
    assert all(data.clips.captions(index) for index in pools["text_to_video", 0].tolist())
    assert len(pools["text_to_video", 0]) < len(pools["image_to_video", 0]) == len(data.training)

    shards = rewritten(run, tmp_path / "none", lambda number, clip: replace(clip, captions=()))
    with pytest.raises(ValueError, match=r"no clip has what task text_to_video needs: .*caption"):
        LMDataModule(**settings | {"shards": shards, "tasks": {"text_to_video": 1.0}})
    data = LMDataModule(**settings | {"shards": shards, "tasks": {"image_to_video": 1.0}})
    assert data.text_tokenizer is None
    assert [block.name for block in data.vocabulary.blocks][-1] == "audio_1"
    some_batches(data, 3)


@pytest.mark.long
def test_all_captions_of_a_clip_are_shown(run, settings, tmp_path):
    words = ("red", "blue", "green")
    shards = rewritten(run, tmp_path / "shards", lambda number, clip: replace(clip, captions=words))
    settings = settings | {"shards": shards, "tasks": {"text_to_video": 1.0}}
    data = LMDataModule(**settings, caption_variation=0)
    assert len(prefixes_of(data)) == len(words) + 1  # and once without


def prefixes_of(data: LMDataModule) -> set[tuple[int, ...]]:
    """What stands before the video in rows of 20 batches."""
    return {
        tuple(row[: int(length)].tolist())
        for batch in some_batches(data, 20)
        for row, length in zip(batch.ids, batch.prefix_length, strict=True)
    }


@pytest.mark.long
def test_captions_are_shown_in_forms_that_the_tokenizer_has_seen_and_never_cut(run, settings, tmp_path):
    caption = "Two dogs, of which one is red, run over a green meadow."
    shards = rewritten(run, tmp_path / "shards", lambda number, clip: replace(clip, captions=(caption,)))
    settings = settings | {"shards": shards, "tasks": {"text_to_video": 1.0}, "caption_variation": 1.0}
    data = LMDataModule(**settings)
    assert len(prefixes_of(data)) > 10
    tokenizer = data.text_tokenizer
    forms = [varied(caption, form) for form in range(FORMS)]
    for text in forms:
        assert tokenizer.read(text) == Reading(tokenizer.encode(text))
    exact = tokenizer.count(caption)
    shown = {
        text
        for text in map(data.maker.written, [caption] * FORMS, range(FORMS))
        if tokenizer.count(text) > exact
    }
    assert shown
    # One that reads no more pieces than the caption has is shown the caption, not a part of a longer form.
    tight = LMDataModule(**settings | {"text_pieces": exact})
    for form in range(FORMS):
        written = tight.maker.written(caption, form)
        assert written == (forms[form] if tokenizer.count(forms[form]) <= exact else caption)
    assert data.maker.written(None, 3) is None and data.maker.written(caption, None) == caption


@pytest.mark.long
def test_windows_of_one_source_are_on_one_side(run, settings, tmp_path):
    def windows(number, clip):
        return replace(clip, source=f"file-{number // 4}", path="", extra={})

    shards = rewritten(run, tmp_path / "shards", windows)
    data = LMDataModule(**settings | {"shards": shards})
    sides = [
        {data.clips.source_of(index) for index in side}
        for side in (data.training.tolist(), data.validation)
    ]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 10
    assert sides[1] == {f"file-{number}" for number in range(10) if place_of(f"file-{number}") < 0.2}


def test_export_writes_what_a_model_folder_needs(settings, tmp_path):
    data = LMDataModule(**settings)
    data.export(tmp_path)
    assert Vocabulary.load(tmp_path / "vocabulary.json").blocks == data.vocabulary.blocks
    text = TextTokenizer.from_pretrained(tmp_path / "text_tokenizer")
    assert text.encode("a red square") == data.text_tokenizer.encode("a red square")
    config = ModelConfig.load(tmp_path)
    assert config.tasks == tuple(TASKS)
    assert config.clips == data.clips.formats[0]
    config.check_tokenizers(data.encoder.video, data.encoder.audio, text)


@pytest.mark.long
def test_the_order_of_the_sound_reaches_batches_and_model_folder(settings, tmp_path):
    settings = settings | {"tasks": {"video_to_audio": 1.0}}
    levels, latents = (LMDataModule(**settings, audio_order=order) for order in ("level", "time"))
    latents.export(tmp_path)
    assert ModelConfig.load(tmp_path).audio_order == "time"
    first, second = some_batches(levels, 1)[0], some_batches(latents, 1)[0]
    assert not torch.equal(first.ids, second.ids)
    assert torch.equal(first.ids.sort().values, second.ids.sort().values)


def copy_of_model(run: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("video_tokenizer", "audio_tokenizer"):
        (folder / name).symlink_to(run / "model" / name)
    return folder


@pytest.mark.long
def test_the_same_captions_give_the_same_text_tokenizer(settings):
    one, other = LMDataModule(**settings), LMDataModule(**settings)
    assert one.text_tokenizer.fingerprint == other.text_tokenizer.fingerprint


def test_text_tokenizer_and_vocabulary_are_kept_if_they_are_there(run, settings, tmp_path):
    folder = copy_of_model(run, tmp_path / "model")
    data = LMDataModule(**settings | {"model": str(folder)})
    data.export(folder)
    longer = Vocabulary.load(folder / "vocabulary.json")
    Vocabulary(longer.blocks, custom=("MINE",)).save(folder / "vocabulary.json")
    again = LMDataModule(**settings | {"model": str(folder), "text_vocab_size": 300})
    assert again.text_tokenizer.fingerprint == data.text_tokenizer.fingerprint
    assert again.vocabulary.custom == ("MINE",)
    Vocabulary.of_sizes(visual=(2, 2), audio=(8, 8), text=10).save(folder / "vocabulary.json")
    assert LMDataModule(**settings | {"model": str(folder)}).vocabulary.blocks == data.vocabulary.blocks


def test_codes_of_other_tokenizers_are_refused(run, settings, tmp_path):
    index = json.loads((run / "shards" / "index.json").read_text())
    other = ClipFormat.from_json(index["clips"] | {"video_tokenizer": "another"})
    writer = ShardWriter(tmp_path / "shards", other, {})
    reader = ShardReader(run / "shards")
    writer.write(0, [reader[number] for number in range(4)])
    writer.finish()
    with pytest.raises(ValueError, match=r"codes of other tokenizers .*video_tokenizer another") as error:
        LMDataModule(**settings | {"shards": str(tmp_path / "shards")})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shards": None}, "give one of the two"),
        ({"source": "synthetic"}, "give one of the two"),
        ({"tasks": {"text_to_smell": 1.0}}, "unknown task 'text_to_smell'"),
        ({"tasks": {}}, "there are no tasks"),
        ({"shards": "/nowhere"}, "is not a folder of codes"),
        ({"model": "/nowhere"}, "no model folder"),
        ({"validation_share": 1.0}, "a share between 0 and 1"),
        ({"shards": None, "source": "synthetic", "num_workers": 2}, "tokenised in this process"),
    ],
)
def test_settings_that_cannot_be_are_one_line(settings, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        LMDataModule(**settings | change)
    assert "\n" not in str(error.value)


def test_a_task_whose_condition_was_not_encoded_is_refused_by_name(run, settings, tmp_path):
    encode_source(ClipEncoder.from_pretrained(run / "model", **SIZES), "synthetic", tmp_path, clips=4)
    change = {"shards": str(tmp_path), "tasks": {"text_to_video": 1.0, "outpainting": 1.0}}
    with pytest.raises(ValueError, match=r"task outpainting needs: .*videolm encode --tasks outpainting"):
        LMDataModule(**settings | change)


@pytest.mark.long
def test_clips_tokenised_on_the_fly_are_the_encoded_ones(run, settings, tmp_path):
    encoder = ClipEncoder.from_pretrained(run / "model", **SIZES, tasks=all_tasks())
    encode_source(encoder, "synthetic", tmp_path, clips=12)
    stored = LMDataModule(**settings | {"shards": str(tmp_path)})
    live = LMDataModule(**settings | SIZES | {"shards": None, "source": "synthetic", "clips": 12})
    assert live.training.tolist() == stored.training.tolist()
    assert live.validation == stored.validation
    for one, other in zip(some_batches(live, 3), some_batches(stored, 3), strict=False):
        assert one.tasks == other.tasks
        assert (one.ids == other.ids).float().mean() > 0.95  # a sum in another order may tip a sign


def test_a_folder_of_files_is_tokenised_on_the_fly(run, settings, tmp_path):
    corpus = Corpus(**SIZES, sample_rate=8000)
    for number in range(3):
        write_clip(corpus[number], tmp_path / f"{number}.mp4")
    (tmp_path / "bad.mp4").write_text("not a video")
    change = {"shards": None, "source": str(tmp_path), "tasks": {"video_to_audio": 1.0}, "batch_size": 2}
    with pytest.warns(UserWarning, match=r"left out 1 files, .*bad\.mp4"):
        data = LMDataModule(**settings | SIZES | change)
    assert len(data.training) + len(data.validation) == 3
    assert load_task("video_to_audio").name in some_batches(data, 1)[0].tasks


@pytest.mark.long
def test_both_kinds_of_captions_come_from_shards_and_are_mixed(run, settings, tmp_path):
    def long_too(number, clip):
        extra = clip.extra | {"long_caption": f"at length {'zebra ' * (number + 1)}"}
        return replace(clip, captions=clip.captions if number % 2 else (), extra=extra)

    shards = rewritten(run, tmp_path / "shards", long_too)
    reader = ShardReader(shards)
    assert reader.long_caption(0) == reader[0].long_caption == "at length zebra "
    assert reader.captions(0) == () and len(reader.captions(1)) == 1
    chosen = settings | {"shards": shards, "tasks": {"text_to_video": 1.0}}
    for share in (0.0, 1.0):
        data = LMDataModule(**chosen, long_captions=share)
        assert len(data.training) == 32  # those without a caption of their own can be used
        start, size = data.vocabulary.block("text").start, data.text_tokenizer.vocab_size
        shown = []
        for batch in some_batches(data, 20):
            for ids in batch.ids:
                pieces = [int(each) - start for each in ids if start <= each < start + size]
                shown += [data.text_tokenizer.decode(pieces)] if pieces else []
        zebras = sum("zebra" in text for text in shown) / len(shown)
        assert zebras == 1 if share else 0.3 < zebras < 0.7


@pytest.mark.long
def test_the_tokenizer_never_saw_what_the_language_model_is_validated_on(run, tmp_path):
    """From files, with other seeds and settings, through shards, and in another folder."""
    corpus = Corpus(height=16, width=16, num_frames=20, fps=8.0)
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(60):
        Clip(corpus[number].frames, 8.0).save(folder / f"{number}.mp4")
        (folder / f"{number}.txt").write_text(f"clip number {number}")
    encoder = ClipEncoder.from_pretrained(run / "model", **SIZES)
    encode_source(encoder, str(folder), tmp_path / "shards")
    lm = {"model": str(run / "model"), "tasks": {"unconditional": 1.0}, "shards": str(tmp_path / "shards")}
    data = LMDataModule(**lm, seed=3)
    captions = {data.clips.captions(index) for index in data.validation}
    assert len(data.validation) == 2 * len(captions) > 0  # both windows of each
    folder.rename(tmp_path / "moved")
    tokenizer = ClipDataModule(str(tmp_path / "moved"), **SIZES, validation_clips=3, seed=1)
    tokenizer.setup()
    trained = {entry.captions for entry in tokenizer.training[0].files.entries}
    assert captions and not captions & trained and len(trained) > 50


@pytest.mark.long
def test_validation_of_many_files_is_bounded_and_the_rest_is_trained_on(run, settings, tmp_path):
    data = LMDataModule(**settings, validation_clips=3)
    assert len(data.validation) == 3 and len(data.training) == 37
    whole = LMDataModule(**settings)
    assert set(data.validation) < set(whole.validation)

    def one_film(number, clip):
        return replace(clip, extra={"group": "film" if number < 30 else f"other {number}"})

    shards = rewritten(run, tmp_path / "film", one_film)
    share = place_of("group film") + 1e-9
    film = LMDataModule(**settings | {"shards": shards, "validation_share": share}, validation_clips=4)
    assert len(film.validation) <= 4


@pytest.mark.long
def test_shards_of_ones_own_are_validated_on_and_nothing_is_held_out(run, settings, tmp_path):
    own = rewritten(run, tmp_path / "own", lambda number, clip: replace(clip, captions=(f"own {number}",)))
    data = LMDataModule(**settings, validation_source=own, validation_clips=10)
    assert len(data.training) == NUM_CLIPS and len(data.validation) == 10
    assert data.validation_set.captions(data.validation[1]) == ("own 4",)
    counts = dict.fromkeys(TASKS, 0)
    for batch in data.val_dataloader():
        counts[batch.tasks[0]] += len(batch)
    assert counts == dict.fromkeys(TASKS, 10)
    other = ClipEncoder.from_pretrained(run / "model", **SIZES | {"num_frames": 5})
    encode_source(other, "synthetic", tmp_path / "other", clips=2)
    with pytest.raises(ValueError, match="holds clips of sizes 5x16x16; expected some of 9x16x16"):
        LMDataModule(**settings, validation_source=str(tmp_path / "other"))


def test_a_folder_of_ones_own_is_coded_to_validate_on(run, settings, tmp_path):
    corpus = Corpus(**SIZES)
    (tmp_path / "own").mkdir()
    for number in range(3):
        write_clip(Clip(corpus[number].frames, 8.0), tmp_path / "own" / f"{number}.mp4")
    settings |= {"tasks": {"unconditional": 1.0, "inpainting": 1.0, "video_to_audio": 1.0}}
    data = LMDataModule(**settings, validation_source=str(tmp_path / "own"))
    assert len(data.training) == NUM_CLIPS and len(data.validation) == 3
    shown = {batch.tasks[0] for batch in data.val_dataloader()}
    assert shown == {"unconditional", "inpainting"}  # none has sound


def test_a_source_is_coded_in_the_size_of_the_tokenizer(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "model")
    TrainedClips(16, 24, 5, 4.0).save(tmp_path / "model" / "video_tokenizer")
    tasks = {"unconditional": 1.0}
    data = LMDataModule(str(tmp_path / "model"), tasks, source="synthetic-plain", clips=4)
    assert data.clips.formats[0].name == "5x16x24" and data.clips.formats[0].fps == 4.0
    with pytest.warns(UserWarning, match="clips are 9 frames of 16x24"):
        LMDataModule(str(tmp_path / "model"), tasks, source="synthetic-plain", clips=4, num_frames=9)
