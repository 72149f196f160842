"""The properties of a sequence, over all tasks."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videolm.data.codes.clip_format import ClipFormat
from videolm.lm.batch import Batch
from videolm.lm.vocabulary import Vocabulary, audio_block
from videolm.tasks.layout import Layout, Lengths
from videolm.tasks.task import ROLES, Portion, all_tasks, load_task

VOCABULARY = Vocabulary.of_sizes(visual=(8, 4), audio=(16, 8), text=50).extended(
    {"action_0": (5,), "action_1": (7,), "outcome": (6,)}
)
LENGTHS = Lengths(
    t=3, h=2, w=4, audio_levels=2, audio_frames=5, audio_step=0.4, audio_ends=(1, 3, 5), action_dims=2
)
LATENT_BY_LATENT = replace(LENGTHS, audio_order="time")
FOUR_FRAMES_A_LATENT = replace(LENGTHS, temporal_stride=4)
SOUNDING = [task for task in all_tasks() if "audio" in task.parts]
each_task = pytest.mark.parametrize(
    ("task", "lengths"),
    [
        *(pytest.param(task, LENGTHS, id=task.name) for task in all_tasks()),
        *(pytest.param(task, LATENT_BY_LATENT, id=f"{task.name}-time") for task in SOUNDING),
        pytest.param(load_task("world"), FOUR_FRAMES_A_LATENT, id="world-stride-4"),
    ],
)


def parts_of(layout, seed=0):
    """Random codes of every part that the layout takes."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {
        "text": torch.tensor(50),
        "audio": torch.tensor([[16], [8]][: layout.lengths.audio_levels]),
        "actions": torch.tensor([[5], [7]]),
        "outcome": torch.tensor(6),
    }
    return {
        name: (torch.rand(shape, generator=generator) * sizes.get(name, torch.tensor(32))).long()
        for name, shape in layout.shapes.items()
    }


def with_text(task, lengths=LENGTHS, text=6):
    return replace(lengths, text=0 if task.text == "none" else text)


def layout_of(name, lengths=LENGTHS, vocabulary=VOCABULARY):
    task = load_task(name)
    return Layout.of(task, vocabulary, with_text(task, lengths))


@each_task
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.tuples(*[st.integers(2, 4), *[st.integers(1, 3)] * 2, st.integers(1, 2), st.integers(5, 8)]),
    text=st.integers(0, 5),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_unpack_is_the_inverse_of_pack(task, lengths, sizes, text, seed, data):
    given = data.draw(st.integers(1, sizes[0] - 1))
    ends = (*range(1, sizes[0]), sizes[-1])
    lengths = Lengths(
        *sizes,
        audio_step=0.3,
        audio_order=lengths.audio_order,
        audio_ends=ends,
        given=given,
        action_dims=2,
        temporal_stride=lengths.temporal_stride,
    )
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths, text))
    parts = parts_of(layout, seed)
    unpacked = layout.unpack(layout.pack(parts).ids)
    assert unpacked.keys() == parts.keys()
    for name in parts:
        assert torch.equal(unpacked[name], parts[name])


@each_task
def test_every_id_lies_in_its_block_and_every_array_fits(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    sequence = layout.pack(parts_of(layout))
    low, high = layout.allowed.unbind(-1)
    assert ((low <= sequence.ids) & (sequence.ids < high)).all()
    for name in ("ids", "block", "segment", "coordinates", "forced", "weight"):
        assert len(getattr(sequence, name)) == len(layout) == len(sequence)
    assert sequence.task == task.name
    assert Batch.collate([sequence, sequence]).ids.shape == (2, len(layout))


@each_task
def test_the_prefix_holds_exactly_the_inputs(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    roles = [ROLES[segment] for segment in layout.segment[: layout.prefix_length]]
    grids = {portion.role for portion in task.inputs} | ({"text"} if task.text != "none" else set())
    assert set(roles) == grids | {"structure"}
    outputs = {ROLES[segment] for segment in layout.segment[layout.prefix_length :]}
    assert outputs == {portion.role for portion in task.outputs} | {"structure"}
    first_output = VOCABULARY.special("boa_o" if task.outputs[0].kind == "audio" else "bov_o")
    ids = layout.pack(parts_of(layout)).ids
    assert ids[layout.prefix_length] == first_output
    assert first_output not in ids[: layout.prefix_length]


@each_task
def test_there_is_no_loss_on_what_is_given(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    assert layout.forced[: layout.prefix_length].all()
    assert layout.forced[layout.prefix_length]
    assert (layout.weight[layout.forced] == 0).all()
    assert (layout.weight[~layout.forced] == 1).all()
    assert layout.weight.sum() > 0
    structure = layout.segment == ROLES.index("structure")
    assert layout.forced[structure].all()


@each_task
def test_a_prompt_equals_the_example_wherever_it_is_given(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    parts = parts_of(layout)
    full, prompt = layout.pack(parts), layout.prompt(parts)
    assert torch.equal(full.ids[layout.forced], prompt.ids[layout.forced])
    assert torch.equal(prompt.ids[~layout.forced], layout.allowed[~layout.forced, 0])
    assert torch.equal(full.coordinates, prompt.coordinates)
    layout.unpack(prompt.ids)


@each_task
def test_every_id_out_of_place_is_refused(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    ids = layout.pack(parts_of(layout)).ids
    blocks = [block.start for block in VOCABULARY.blocks]
    for position in range(len(ids)):
        for start in blocks:
            wrong = ids.clone()
            wrong[position] = start + 1
            low, high = layout.allowed[position]
            is_marker = VOCABULARY.blocks[layout.block[position]].name == "special"
            if is_marker or not low <= start + 1 < high:
                if wrong[position] == ids[position]:
                    continue
                with pytest.raises(ValueError, match=f"position {position} of task {task.name}"):
                    layout.unpack(wrong)
    with pytest.raises(ValueError, match=f"has {len(ids) - 1} ids"):
        layout.unpack(ids[:-1])


@each_task
def test_no_two_positions_of_one_segment_share_their_coordinates(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    places = torch.cat(
        [layout.segment[:, None].float(), layout.block[:, None].float(), layout.coordinates], 1
    )
    codes = places[layout.segment != ROLES.index("structure")]
    assert len(codes.unique(dim=0)) == len(codes)


@each_task
def test_text_and_structure_stand_before_the_grids_in_order(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    times = layout.coordinates[:, 0]
    is_grid = layout.allowed[:, 0] >= VOCABULARY.block("visual").start
    is_grid &= layout.segment != ROLES.index("text")
    head = int(is_grid.nonzero()[0]) - 1  # without the grid's own opening marker
    assert torch.equal(times[:head], torch.arange(-head, 0).float())
    assert times[is_grid].min() >= 0
    assert times[-1] == times.max()


@each_task
def test_parts_of_other_shapes_are_refused_by_name(task, lengths):
    layout = Layout.of(task, VOCABULARY, with_text(task, lengths))
    parts = parts_of(layout)
    for name in parts:
        without = {other: parts[other] for other in parts if other != name}
        with pytest.raises(ValueError, match=f"task {task.name} got the parts .* expected"):
            layout.pack(without)
        longer = torch.cat([parts[name], parts[name]])
        with pytest.raises(ValueError, match=f"{name} codes have the shape"):
            layout.pack(parts | {name: longer})
        kind = name if name in ("text", "audio", "actions", "outcome") else "visual"
        with pytest.raises(ValueError, match=rf"{kind.removesuffix('s')}\w* codes lie in"):
            layout.pack(parts | {name: parts[name] + 50})
    with pytest.raises(ValueError, match="got the parts"):
        layout.pack(parts | {"smell": parts[name]})


@each_task
def test_what_is_absent_shortens_the_sequence(task, lengths):
    full = Layout.of(task, VOCABULARY, with_text(task, lengths))
    assert len(full) - len(full.without_text()) == (0 if task.text == "none" else 6 + 2)
    assert torch.equal(full.coordinates[full.prefix_length :], full.without_text().coordinates[
        full.without_text().prefix_length :])  # fmt: skip
    other = replace(with_text(task, lengths), resolution=(28, 16), duration=11, rate=24)
    longer = Layout.of(task, VOCABULARY, other)
    told = 3 if task.makes_image else 4  # a picture has no duration
    assert len(longer) - len(full) == told
    assert longer.prefix_length - full.prefix_length == told


def test_image_to_video_is_text_to_video_with_the_first_frame_given():
    image, text = layout_of("image_to_video"), layout_of("text_to_video")
    parts = parts_of(text)
    ours, theirs = image.pack(parts), text.pack(parts)
    for name in ("ids", "block", "segment", "coordinates"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert ours.prefix_length == theirs.prefix_length
    forced = (ours.forced & ~theirs.forced).nonzero().flatten()
    first = ours.prefix_length + 1
    assert forced.tolist() == list(range(first, first + 2 * 4))
    assert image.given_shapes["visual"] == (1, 2, 4)


def test_dropping_the_text_gives_the_unconditional_sequence():
    unconditional, text = layout_of("unconditional"), layout_of("text_to_video").without_text()
    parts = parts_of(unconditional)
    assert torch.equal(unconditional.pack(parts).ids, text.pack(parts).ids)


def test_text_to_image_is_the_start_of_text_to_video():
    image, video = layout_of("text_to_image"), layout_of("text_to_video")
    assert torch.equal(image.coordinates, video.coordinates[: len(image)])
    assert torch.equal(image.block, video.block[: len(image)])
    assert image.prefix_length == video.prefix_length
    assert len(image) == image.prefix_length + 1 + 2 * 4


def test_corresponding_grids_share_coordinates_and_a_continuation_goes_on():
    condition = Portion("visual", "video", source="masked")
    conditions = load_task("inpainting").conditions
    painting = replace(
        load_task("text_to_video"), name="painting", inputs=(condition,), conditions=conditions
    )
    layout = Layout.of(painting, VOCABULARY, with_text(painting))
    given, made = (layout.segment == ROLES.index(role) for role in ("video", "video_output"))
    assert torch.equal(layout.coordinates[given], layout.coordinates[made])
    assert layout.shapes["masked"] == layout.shapes["visual"] == (3, 2, 4)
    assert "visual" not in layout.given_shapes

    prediction = layout_of("frame_prediction", replace(LENGTHS, t=5, given=2))
    given, made = (prediction.segment == ROLES.index(role) for role in ("given_video", "video_output"))
    assert prediction.coordinates[given, 0].unique().tolist() == [0, 1]
    assert prediction.coordinates[made, 0].unique().tolist() == [2, 3, 4]
    assert prediction.given_shapes["visual"] == (2, 2, 4)


def test_sound_is_flattened_level_by_level_in_units_of_video_latents():
    layout = layout_of("video_to_audio")
    codes = torch.arange(10).reshape(2, 5) % 8
    ids = layout.pack({"visual": torch.zeros(3, 2, 4, dtype=torch.int64), "audio": codes}).ids
    sounding = layout.segment == ROLES.index("audio_output")
    low, high = (VOCABULARY.ids(audio_block(level), codes[level]) for level in (0, 1))
    assert torch.equal(ids[sounding], torch.cat([low, high]))
    assert torch.allclose(layout.coordinates[sounding, 0], torch.arange(5).repeat(2) * 0.4)
    assert layout.coordinates[sounding, 1].tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("name", ["video_to_audio", "audio_to_video"])
def test_sound_latent_by_latent_is_the_same_sound_in_another_order(name):
    levels, latents = layout_of(name), layout_of(name, LATENT_BY_LATENT)
    parts = parts_of(levels)
    first, second = levels.pack(parts), latents.pack(parts)
    sounding = levels.allowed[:, 0] >= VOCABULARY.block("audio_0").start
    moved = sounding.nonzero().flatten().reshape(2, 5).T.flatten()
    order = torch.arange(len(levels)).index_put((sounding.nonzero().flatten(),), moved)
    for field in ("ids", "block", "segment", "coordinates", "forced", "weight"):
        assert torch.equal(getattr(second, field), getattr(first, field)[order]), field
    times = second.coordinates[sounding, 0]
    assert (times.diff() >= 0).all()


def test_sequence_of_text_to_video_written_out():
    layout = layout_of("text_to_video", replace(LENGTHS, t=1, h=1, w=2, rate=24))
    parts = {"text": torch.tensor([1, 2, 3, 4, 5, 6]), "visual": torch.tensor([[[7, 31]]])}
    special, start = VOCABULARY.special, VOCABULARY.block("text").start
    assert layout.pack(parts).ids.tolist() == [
        special("bos"), special("VIDEO"), VOCABULARY.number(24),
        special("bot_i"), *(start + piece for piece in range(1, 7)), special("eot_i"),
        special("bov_o"), 256 + 7, 256 + 31, special("eov_o"), special("eos"),
    ]  # fmt: skip


VIDEOPOET = ClipFormat(
    height=128, width=128, num_frames=17, fps=8.0, grid=(5, 16, 16), temporal_stride=4, factors=(512, 512),
    video_tokenizer="v", codebook_sizes=(1024,) * 4, audio_frames=106, sample_rate=16_000, hop_length=320,
    audio_tokenizer="a",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given", "generated"),
    [
        ("unconditional", 0, 1280),
        ("text_to_image", 0, 256),
        ("text_to_video", 0, 1280),
        ("image_to_video", 256, 1024),
        ("frame_prediction", 768, 512),
        ("video_to_audio", 1280, 424),
        ("audio_to_video", 424, 1280),
        ("inpainting", 1280, 1280),
        ("outpainting", 1280, 1280),
        ("stylization", 1280, 1280),
        ("stylization_with_image", 1280 + 256, 1280),
    ],
)
def test_counts_of_videopoet_at_17_frames_of_128x128(name, given, generated):
    """Kondratyuk et al. 2024, arXiv:2312.14125: the lengths behind section 4.1."""
    layout = layout_of(name, Lengths.of_format(VIDEOPOET, "level"), Vocabulary.of_sizes(text=1000))
    is_code = layout.block > 0
    is_text = layout.segment == ROLES.index("text")
    assert int((is_code & layout.forced & ~is_text).sum()) == given
    assert int(layout.weight.sum()) == generated


def test_counts_of_videopoet_when_sound_and_one_frame_are_continued():
    """One frame lasts 0.125 s, which 6 whole audio latents fill: 24 of the 424 codes are given."""
    lengths = replace(Lengths.of_format(VIDEOPOET, "level"), given=1)
    layout = layout_of("audio_video_continuation", lengths, Vocabulary.of_sizes(text=1000))
    roles = {role: int((layout.segment == ROLES.index(role)).sum()) for role in ROLES}
    assert (roles["given_video"], roles["given_audio"]) == (256, 24)
    assert (roles["video_output"], roles["audio_output"]) == (1024, 400)
    nine_frames = replace(lengths, given=3)
    assert (nine_frames.given_audio, nine_frames.audio_frames) == (56, 106)


def test_sound_goes_on_where_the_given_part_ends():
    layout = layout_of("audio_video_continuation", replace(LENGTHS, given=2))
    given, made = (layout.segment == ROLES.index(role) for role in ("given_audio", "audio_output"))
    assert torch.allclose(layout.coordinates[given, 0], torch.tensor([0, 1, 2] * 2) * 0.4)
    assert torch.allclose(layout.coordinates[made, 0], torch.tensor([3, 4] * 2) * 0.4)
    assert layout.given_shapes["audio"] == (2, 3)
    assert layout.shapes["audio"] == (2, 5)


def test_tasks_refuse_lengths_they_cannot_have():
    with pytest.raises(ValueError, match="video_to_audio needs sound"):
        layout_of("video_to_audio", replace(LENGTHS, audio_frames=0))
    with pytest.raises(ValueError, match="cannot begin with 5 audio latents: the clip has 5"):
        layout_of("audio_video_continuation", replace(LENGTHS, given=2, audio_ends=(2, 5, 5)))
    with pytest.raises(ValueError, match="unconditional takes no text"):
        Layout.of(load_task("unconditional"), VOCABULARY, replace(LENGTHS, text=3))
    for lengths in (replace(LENGTHS, given=3), replace(LENGTHS, given=0), replace(LENGTHS, t=1)):
        with pytest.raises(ValueError, match="at least one is generated"):
            layout_of("frame_prediction", lengths)
    with pytest.raises(ValueError, match="no block 'text'"):
        layout_of("text_to_video", vocabulary=Vocabulary.of_sizes(visual=(8, 4), audio=()))
