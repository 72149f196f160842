from dataclasses import replace

import pytest

from videolm.lm.vocabulary import TASKS
from videolm.tasks.task import ROLES, Portion, all_tasks, load_task, task_names


def test_every_file_of_definitions_is_a_task_of_its_name():
    assert {"unconditional", "text_to_image", "text_to_video", "image_to_video"} <= set(task_names())
    assert {"frame_prediction", "video_to_audio"} <= set(task_names())
    assert tuple(task.name for task in all_tasks()) == task_names()


def test_unknown_task_is_one_line_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown task 'text_to_smell'; there are .*text_to_video") as error:
        load_task("text_to_smell")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_every_task_is_described_and_has_a_token(task):
    assert task.description.strip()
    assert task.token in TASKS
    assert set(task.needs) <= set(task.takes) <= {"text", "image", "video", "audio", "mask", "actions"}


@pytest.mark.parametrize(
    ("name", "needs", "takes"),
    [
        ("unconditional", (), ()),
        ("text_to_image", ("text",), ("text",)),
        ("text_to_video", ("text",), ("text",)),
        ("image_to_video", ("image",), ("text", "image")),
        ("frame_prediction", ("video",), ("text", "video")),
        ("video_to_audio", ("video",), ("video",)),
        ("inpainting", ("video",), ("text", "video", "mask")),
        ("stylization", ("text", "video"), ("text", "video")),
        ("stylization_with_image", ("text", "image", "video"), ("text", "image", "video")),
        ("audio_video_continuation", ("video",), ("text", "video")),
        ("world", ("video", "actions"), ("text", "video", "actions")),
    ],
)
def test_what_a_prompt_holds_follows_from_the_declaration(name, needs, takes):
    assert load_task(name).needs == needs
    assert load_task(name).takes == takes


def test_tasks_with_the_same_output_share_their_token():
    names = ("unconditional", "text_to_image", "text_to_video", "image_to_video")
    assert {load_task(name).token for name in names} == {"VIDEO"}


def test_roles_keep_their_numbers():
    assert ROLES[:10] == (
        "structure", "resolution", "duration", "rate", "text", "video_output", "audio_output",
        "given_video", "video", "audio",
    )  # fmt: skip


def test_declarations_that_make_no_sense_are_refused():
    task = load_task("text_to_video")
    with pytest.raises(ValueError, match="generates nothing"):
        replace(task, outputs=())
    with pytest.raises(ValueError, match="audio before visual"):
        replace(task, inputs=(Portion("audio", "audio"), Portion("visual", "video")))
    with pytest.raises(ValueError, match="does not generate"):
        replace(task, outputs=(Portion("audio", "audio_output"),), forced_latents=1)
    with pytest.raises(ValueError, match="role 'smell' is unknown"):
        Portion("visual", "smell")
    with pytest.raises(ValueError, match="no picture"):
        Portion("audio", "audio", which="first")
    with pytest.raises(ValueError, match="no conditions that make them"):
        replace(load_task("inpainting"), conditions=None)
