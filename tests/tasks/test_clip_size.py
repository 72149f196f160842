"""Clips of several sizes in one language model: batches, sequences, model folders, generation."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.codes.bucketed_shards import read_shards, write_buckets
from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardWriter
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.reading import read_clip
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.generation.chain.chain import Step, run_chain
from videolm.generation.chain.chain_file import read_chain
from videolm.generation.long_video.long_video import LongPrompt, generate_long
from videolm.generation.long_video.script import Line
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt, whole_video
from videolm.generation.prompt_file import read_prompts
from videolm.generation.run_request import PromptOptions
from videolm.lm.batch import Batch
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.clip_size import SizeChoice
from videolm.tasks.layout import Layout
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.task import ROLES, load_task
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tasks.training_data.lm_datamodule import LMDataModule
from videolm.tasks.training_data.mixture import Mixture

# Frames, height, width -> clips.
COUNTS = {(9, 32, 32): 12, (9, 32, 48): 20, (5, 48, 32): 6, (1, 32, 32): 8}


def format_of(encoder: ClipEncoder, size: tuple[int, int, int]) -> ClipFormat:
    return encoder.of_size(**dict(zip(("num_frames", "height", "width"), size, strict=True))).clips


def write_shards(folder: Path, clips: ClipFormat, corpus: Corpus, count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    coded = []
    for number in range(count):
        codes = {name: torch.randint(16, shape, generator=generator) for name, shape in clips.shapes.items()}
        caption = caption_of(corpus.scene(number), 0)
        coded.append(CodedClip(codes, (caption,), f"{clips.name} {number}"))
    writer = ShardWriter(folder, clips, {"source": "random"})
    if coded:
        writer.write(0, coded)
    writer.finish()


@pytest.fixture(scope="module")
def encoder(model: VideoLM) -> ClipEncoder:
    size = {"height": 32, "width": 32, "num_frames": 9, "fps": 8.0}
    return ClipEncoder(model.video_tokenizer, model.audio_tokenizer, **size)


@pytest.fixture(scope="module")
def run(encoder: ClipEncoder, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with tokenizers, and random codes in several sizes; one of them has no clips."""
    run = tmp_path_factory.mktemp("sizes")
    encoder.video.save_pretrained(run / "model" / "video_tokenizer")
    encoder.audio.save_pretrained(run / "model" / "audio_tokenizer")
    formats = [(format_of(encoder, size), count) for size, count in ({(13, 32, 32): 0} | COUNTS).items()]
    write_buckets(run / "shards", [clips.name for clips, _ in formats])
    for clips, count in formats:
        write_shards(run / "shards" / clips.name, clips, corpus, count)
    return run


@pytest.fixture
def settings(run: Path) -> dict:
    return {
        "model": str(run / "model"),
        "shards": str(run / "shards"),
        "tasks": {"unconditional": 3.0, "text_to_image": 1.0},
        "batch_size": 1,
        "validation_share": 0.1,
        "text_vocab_size": 320,
    }


@pytest.fixture(scope="module")
def sized(model: VideoLM, encoder: ClipEncoder) -> VideoLM:
    """The model, as if it had been trained on all sizes."""
    variants = model.clips.variants
    others = (replace(format_of(encoder, size), variants=variants) for size in list(COUNTS)[1:])
    config = replace(model.config, others=tuple(others))
    parts = (model.lm, model.video_tokenizer, model.audio_tokenizer, model.text_tokenizer)
    return VideoLM(config, model.vocabulary, *parts)


def pictures(data: LMDataModule, batches: Iterable[Batch]) -> Counter:
    """How often each first latent is shown, by its codes."""
    block = data.vocabulary.block("visual")
    shown: Counter = Counter()
    for batch in batches:
        for ids, task in zip(batch.ids, batch.tasks, strict=True):
            codes = [int(each) - block.start for each in ids if block.start <= each < block.stop]
            assert task in ("unconditional", "text_to_image")
            shown[tuple(codes[:16])] += 1
    return shown


def training_pictures(data: LMDataModule) -> Counter:
    codes = (data.clips[index].codes["visual"].flatten()[:16].tolist() for index in data.training.tolist())
    return Counter(map(tuple, codes))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_shows_every_clip_of_every_size_once_and_goes_on_from_its_middle(settings, workers):
    data = LMDataModule(**settings | {"num_workers": workers})
    loader = data.train_dataloader()
    batches = iter(loader)
    first = [next(batches) for _ in range(5)]
    resumed = data.train_dataloader()
    resumed.load_state_dict(loader.state_dict())
    rest = list(resumed)
    assert pictures(data, first + rest) == training_pictures(data)
    assert [batch.ids.tolist() for batch in rest] == [batch.ids.tolist() for batch in batches]
    assert {data.clips.size_of(index) for index in data.training.tolist()} == set(range(len(COUNTS)))


@pytest.mark.long
def test_processes_share_task_and_size_of_a_step_and_divide_its_clips(settings):
    data = LMDataModule(**settings)
    ranks = [data._training_batches(rank, world_size=2) for rank in range(2)]
    steps = [[batches[step] for batches in ranks] for step in range(ranks[0].steps)]
    for one, other in steps:
        grids = [batch.coordinates[0, batch.prefix_length[0] :].tolist() for batch in (one, other)]
        assert one.tasks == other.tasks and grids[0] == grids[1]
    shown = pictures(data, [batch for step in steps for batch in step])
    missing = training_pictures(data) - shown
    assert max(shown.values()) == 1 and missing.total() <= len(COUNTS)  # the odd clip of a size waits


@pytest.mark.long
def test_packed_rows_hold_clips_of_all_sizes(settings):
    data = LMDataModule(**settings | {"batching": "packed", "batch_size": 2, "row_tokens": 400})
    batches = data._training_batches()
    grids = set()
    for step in range(6):
        batch = batches[step]
        together = [
            tuple(batch.coordinates[row, start : start + length].max(0).values.int().tolist())
            for row, start, length in zip(batch.row, batch.start, batch.length, strict=True)
        ]
        grids |= set(together)
    assert {(h, w) for _, h, w in grids} == {(3, 3), (3, 5), (5, 3)}


def test_a_budget_of_positions_sets_the_rows_of_each_group(settings):
    tasks = {"unconditional": 1.0, "text_to_image": 1.0}
    data = LMDataModule(**settings | {"batch_tokens": 300, "tasks": tasks})
    batches = data._training_batches()
    rows = {}
    for step in range(40):
        batch = batches[step]
        longest = data.maker.longest(batches.examples.mixture.draw(step, size=batches.turns[step][0]))
        assert len(batch) == max(300 // longest, 1)
        rows[batch.tasks[0], longest] = len(batch)
    assert len(set(rows.values())) > 1
    with pytest.raises(ValueError, match="batch_tokens is 300 with packed batches"):
        LMDataModule(**settings | {"batch_tokens": 300, "batching": "packed"})


def test_tasks_keep_their_weights_over_sizes_as_far_as_these_allow():
    def shares(image_clips: float) -> dict[str, float]:
        sizes = (1 - image_clips, image_clips)
        mixture = Mixture({"text_to_video": 3.0, "text_to_image": 1.0}, (3, 1), seed=0, size_shares=sizes)
        both = [mixture.shares_of(0, size) * share for size, share in enumerate(sizes)]
        assert mixture.draw(0, size=1).task.name == "text_to_image"
        return dict(zip(("video", "image"), sum(both).tolist(), strict=True))

    assert shares(0.1) == pytest.approx({"video": 0.75, "image": 0.25}, abs=1e-3)
    assert shares(0.5) == pytest.approx({"video": 0.5, "image": 0.5}, abs=1e-3)


@pytest.mark.long
def test_shares_of_sizes_can_be_chosen(settings, run):
    names = [reader.clips.name for reader in read_shards(run / "shards")]
    data = LMDataModule(**settings | {"sizes": dict(zip(names, (1.0, 1.0, 1.0, 7.0), strict=True))})
    quotas = data._training_batches().turns.quotas
    assert quotas[3] / sum(quotas) == pytest.approx(0.7, abs=0.02)
    with pytest.raises(ValueError, match="a positive share for each of 9x32x32, 9x32x48, 5x48x32, 1x32x32"):
        LMDataModule(**settings | {"sizes": {"9x32x32": 1.0}})


def test_clips_that_no_task_learns_from_are_named(settings):
    with pytest.warns(UserWarning, match="no task learns from the clips of 1x32x32; text_to_image would"):
        LMDataModule(**settings | {"tasks": {"unconditional": 1.0}})


def test_the_first_size_is_the_default_and_the_others_stand_beside_it(settings, tmp_path, encoder):
    data = LMDataModule(**settings)
    data.export(tmp_path)
    config = ModelConfig.load(tmp_path)
    assert config.formats == data.clips.formats
    assert [clips.name for clips in config.formats] == ["9x32x32", "9x32x48", "5x48x32", "1x32x32"]
    one_size = {"shards": settings["shards"] + "/9x32x32", "tasks": {"unconditional": 1.0}}
    single = LMDataModule(**settings | one_size)
    sizes = {block.name: block.size for block in single.vocabulary.blocks}
    assert sizes.items() <= {block.name: block.size for block in data.vocabulary.blocks}.items()
    assert Vocabulary.load(tmp_path / "vocabulary.json").custom == ()
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "checksums.json").unlink()
    (tmp_path / "config.json").write_text(text.replace('"width": 48,\n', '"width": 48, "fps": 9,\n'))
    with pytest.raises(ValueError, match="is not complete: a size is"):
        ModelConfig.load(tmp_path)


def test_sequences_tell_sizes_apart_and_a_picture_is_the_beginning_of_any_video(sized):
    def numbers(task: str, clips: ClipFormat) -> list[int]:
        layout = Layout.of(load_task(task), sized.vocabulary, sized.config.lengths_of(clips))
        roles = [ROLES.index(role) for role in ("resolution", "duration")]
        told = [position for position, role in enumerate(layout.segment.tolist()) if role in roles]
        return [layout._blank_ids[position].item() - sized.vocabulary.number(1) + 1 for position in told]

    told = [numbers("unconditional", clips) for clips in sized.config.formats]
    assert told == [[], [4, 6], [6, 4, 2], [1]]
    assert [numbers("text_to_image", clips) for clips in sized.config.formats] == [[], [4, 6], [6, 4], []]


@pytest.mark.parametrize(
    ("choice", "task", "name"),
    [
        (SizeChoice(), "text_to_video", "9x32x32"),
        (SizeChoice("16:9"), "text_to_video", "9x32x48"),
        (SizeChoice("9:16"), "text_to_video", "5x48x32"),
        (SizeChoice("32x48"), "text_to_video", "9x32x48"),
        (SizeChoice(num_frames=5), "text_to_video", "5x48x32"),
        (SizeChoice(seconds=0.6), "text_to_video", "5x48x32"),
        (SizeChoice(seconds=1.0), "text_to_video", "9x32x32"),
        (SizeChoice("9:16"), "text_to_image", "5x48x32"),
        (SizeChoice(num_frames=1), "text_to_image", "9x32x32"),
    ],
)
@pytest.mark.filterwarnings("ignore:the nearest to")
def test_a_size_is_the_nearest_of_those_trained_on(sized, choice, task, name):
    assert choice.of(sized.config.formats, load_task(task)).name == name


@pytest.mark.parametrize(
    ("choice", "task", "message"),
    [
        ({"num_frames": 17}, "text_to_video", "not trained on clips of 17 frames; it has 9x32x32, 9x"),
        ({"num_frames": 1}, "text_to_video", "not trained on clips of 1 frames"),
        ({"seconds": 2.0}, "text_to_video", r"have 9 frames \(1\.12 s\); videolm long-video makes longer"),
        ({"num_frames": 9}, "text_to_image", "makes a picture: it has one frame"),
        ({"aspect": "64x64"}, "text_to_video", "not trained on clips of 64x64; it has 9x32x32"),
        ({"aspect": "wide"}, "text_to_video", "aspect is 'wide'; expected W:H such as 16:9, or HEIGHTxWIDTH"),
        ({"aspect": "16:0"}, "text_to_video", "aspect is '16:0'"),
        ({"num_frames": 9, "seconds": 1.0}, "text_to_video", "either in frames or in seconds"),
    ],
)
def test_a_size_that_cannot_be_is_one_line(sized, choice, task, message):
    with pytest.raises(ValueError, match=message) as error:
        SizeChoice(**choice).of(sized.config.formats, load_task(task))
    assert "\n" not in str(error.value)


def test_prompts_of_different_sizes_are_generated_as_if_alone(sized, clip):
    sizes = [None, SizeChoice("32x48"), SizeChoice(num_frames=5), SizeChoice("1:1")]
    prompts = [Prompt(text="a red square moves left", size=size) for size in sizes]
    made = sized.generate_batch("text_to_video", prompts, seed=3)
    assert [each.frames.shape[:3] for each in made] == [(9, 32, 32), (9, 32, 48), (5, 48, 32), (9, 32, 32)]
    alone = sized.generate("text_to_video", text=prompts[1].text, size=sizes[1], seed=4)
    assert (made[1].frames.int() - alone.frames.int()).abs().max() <= 1
    assert sized.encode(made[1])["visual"].shape == (3, 4, 6)


def test_given_media_are_brought_to_the_chosen_size(sized, clip):
    with pytest.warns(UserWarning, match="32x32 are resized and cut to 32x48"):
        made = sized.generate("frame_prediction", video=clip.window(0, 5), size=SizeChoice("32x48"))
    assert torch.equal(made.frames[:5], clip.window(0, 5).resized(32, 48).frames)
    with pytest.warns(UserWarning):
        sounding = sized.generate("video_to_audio", video=clip, size=SizeChoice(num_frames=5))
    assert sounding.frames.shape == (5, 48, 32, 3) and sounding.waveform.shape == (1, 10000)


def test_a_line_of_a_file_of_prompts_chooses_its_size_over_the_one_of_all(sized, tmp_path):
    sized.save_pretrained(tmp_path / "model")
    lines = [
        {},
        {"aspect": "32x48"},
        {"frames": 5},
        {"seconds": 0.6, "name": "short"},
        {"frames": 9, "aspect": "1:1"},
    ]
    text = "a red square moves left"
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"text": text} | line) + "\n" for line in lines))
    (tmp_path / "out").mkdir()
    command = ["generate", "--model", str(tmp_path / "model"), "--task", "text_to_video", "--seconds", "1"]
    assert main([*command, "--prompts", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out")]) == 0
    names = ("000", "001", "002", "short", "004")
    sizes = [read_clip(tmp_path / "out" / f"{name}.mp4").frames.shape[:3] for name in names]
    assert sizes == [(9, 32, 32), (9, 32, 48), (5, 48, 32), (5, 48, 32), (9, 32, 32)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"aspect": "wide"}, ":1: aspect is 'wide'; expected W:H"),
        ({"aspect": 1.5}, ":1 has aspect 1.5; expected a string"),
        ({"frames": "9"}, ":1 has frames '9'; expected a whole number"),
        ({"seconds": "1"}, ":1 has seconds '1'; expected a number"),
        ({"frames": 9, "seconds": 1}, ":1: give the length of the clip either in frames or in seconds"),
    ],
)
def test_sizes_of_a_line_that_make_no_sense_name_the_line(line, message, tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps({"text": "a red square"} | line))
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / "p.jsonl", PromptOptions(aspect="1:1"))


def test_steps_of_a_chain_have_sizes_of_their_own(sized, tmp_path):
    text = "a red square moves left"
    wide = SizeChoice("32x48")
    steps = [
        Step("picture", "text_to_image", text=text, size=wide),
        Step("film", "image_to_video", image="picture", size=wide, seed=1),
        Step("tall", "image_to_video", image="picture", size=SizeChoice(num_frames=5)),
    ]
    with pytest.warns(UserWarning, match="32x48 are resized and cut to 48x32"):
        clips = run_chain(sized, steps)
    shapes = [clips[step.name].frames.shape[:3] for step in steps]
    assert shapes == [(1, 32, 48), (9, 32, 48), (5, 48, 32)]
    assert torch.equal(clips["film"].frames[:1], clips["picture"].frames)
    (tmp_path / "chain.yaml").write_text(
        f"""
aspect: 32x48
steps:
- {{name: picture, task: text_to_image, text: {text}}}
- {{name: film, task: image_to_video, seed: 1}}
- {{name: tall, task: image_to_video, image: picture, aspect: "1:2", frames: 5}}
"""
    )
    picture, film, tall = read_chain(tmp_path / "chain.yaml")
    assert (picture.size, film.size, tall.size) == (wide, wide, SizeChoice("1:2", 5))


def test_a_chain_of_a_size_that_the_model_has_not_is_refused_before_any_step(sized, tmp_path):
    steps = [Step("film", "unconditional"), Step("long", "unconditional", size=SizeChoice(num_frames=17))]
    with pytest.raises(ValueError, match="step long: this model was not trained on clips of 17 frames"):
        run_chain(sized, steps, keep=tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "chain.yaml").write_text("steps: [{task: unconditional, aspect: 16:9}]")
    with pytest.raises(ValueError, match="step 1: aspect is 969; expected str, in quotes"):
        read_chain(tmp_path / "chain.yaml")


@pytest.mark.long
def test_a_long_video_has_the_chosen_aspect_in_every_window(sized, clip, tmp_path):
    size = SizeChoice("32x48")
    prompt = LongPrompt([Line("a red square moves left")], seconds=2.0, aspect="32x48")
    long, report = generate_long(sized, prompt, seed=3, keep=tmp_path)
    assert long.frames.shape == (16, 32, 48, 3) and long.waveform.shape == (1, 32000)
    assert [row["first_frame"] for row in report["segments"]] == [0, 9, 13]
    first = sized.generate("text_to_video", text=prompt.lines[0].text, seed=3, size=size)
    assert torch.equal(long.frames[:4], first.frames[:4])
    with pytest.warns(UserWarning, match="32x32 are resized and cut to 48x32"):
        tall, report = generate_long(sized, LongPrompt(video=clip, seconds=2.0, aspect="48x32"))
    assert tall.frames.shape == (16, 48, 32, 3)
    assert torch.equal(tall.frames[:9], clip.resized(48, 32).frames)
    with pytest.raises(ValueError, match="not trained on clips of 64x64"):
        generate_long(sized, LongPrompt(seconds=2.0, aspect="64x64"))


def test_outpainting_keeps_a_video_at_its_scale_in_the_middle_of_a_wider_frame(sized, clip):
    made = sized.generate("outpainting", video=clip, size=SizeChoice("32x48"))
    assert torch.equal(made.frames[:, :, 8:40], clip.frames)
    assert made.frames[:, :, :8].float().std() > 1
    video, inside = whole_video(clip, sized.config.formats[2])  # 5x48x32: taller, and shorter in time
    assert torch.equal(video.frames[:, 8:40], clip.frames[:5])
    assert inside[:, 8:40].all() and inside.sum() == 5 * 32 * 32
    # In a frame of its own shape there is nothing to add: a part of it is painted, as without a size.
    plain, same = (sized.generate("outpainting", video=clip, size=size) for size in (None, SizeChoice("1:1")))
    assert torch.equal(plain.frames, same.frames)


def test_the_commands_show_and_choose_sizes(sized, clip: Clip, tmp_path: Path, capsys):
    model = str(tmp_path / "model")
    sized.save_pretrained(model)
    write_clip(clip, tmp_path / "square.mp4")
    out = tmp_path / "wide.mp4"
    command = ["generate", "--model", model, "--task", "outpainting", "--video", str(tmp_path / "square.mp4")]
    main([*command, "--aspect", "16:9", "--out", str(out)])
    assert read_clip(out).frames.shape[1:3] == (32, 48)
    assert "note: the nearest to 16:9 that the model was trained on is 9x32x48" in capsys.readouterr().out
    main(["tasks", "--model", model])
    assert "5x48x32: 0 codes given and the text, 48 generated" in capsys.readouterr().out
    main(["info", model])
    printed = capsys.readouterr().out
    assert "9x32x48                  3x4x6 visual codes, 2x56 audio codes" in printed
    assert "other_sizes" not in printed
    assert main([*command, "--frames", "17", "--out", str(out)]) == 2
    assert "not trained on clips of 17 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"buckets": ["../../elsewhere"]}', "expected a list of sizes"),
        ('{"buckets": []}', "expected a list of sizes"),
        ("[1]", "expected a list of sizes"),
        ('{"buckets": ["13x32x32"]}', "holds no clips"),
    ],
)
def test_damaged_lists_of_sizes_are_refused(run, tmp_path, text, message):
    (tmp_path / "13x32x32").symlink_to(run / "shards" / "13x32x32")
    (tmp_path / "buckets.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_shards(tmp_path)
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(ValueError, match="beside folders of several sizes"):
        read_shards(tmp_path)


def test_sizes_that_differ_in_more_are_refused(run, encoder, corpus, tmp_path):
    write_buckets(tmp_path, ["9x32x32", "9x32x48"])
    (tmp_path / "9x32x32").symlink_to(run / "shards" / "9x32x32")
    other = replace(format_of(encoder, (9, 32, 48)), fps=4.0)
    write_shards(tmp_path / other.name, other, corpus, 2)
    with pytest.raises(ValueError, match=r"and 9x32x48 differ in more than their size \(fps 8.0 and 4"):
        read_shards(tmp_path)
