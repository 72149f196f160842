"""Answers of captioners: what wraps a caption is taken off, and what is none is refused."""

import pytest

from videolm.data.curation.answers import caption_of
from videolm.data.curation.captioner import Unusable

CAPTION = "A brown dog runs across a green field."


@pytest.mark.parametrize(
    "answer",
    [
        CAPTION,
        f' "{CAPTION}"\n',
        f"“{CAPTION}”",
        f"<think>The user wants a caption. I can't see much.\n\n</think>\n\n{CAPTION}",
        f"<thinking>\n1. dog\n2. field\n</thinking>{CAPTION}",
        f"Okay, I am sorry for it.\n</think>\n{CAPTION}",
        f"◁think▷Hm.◁/think▷{CAPTION}",
        f"<think></think><answer>{CAPTION}</answer>",
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{CAPTION}<|return|>",
        f"{CAPTION}<|im_end|>",
        f"{CAPTION}\n<think>Good.</think>",
        f"```\n{CAPTION}\n```",
        f"```text\n{CAPTION}\n```",
        f"**{CAPTION}**",
        "A **brown dog** _runs_ across a `green` field.",
        f"**Caption:** {CAPTION}",
        f"Caption: {CAPTION}",
        f"Sure! Here is a one-paragraph description of the clip:\n\n{CAPTION}",
        f"Certainly! {CAPTION}",
        f"Here's the caption: {CAPTION}",
        f"# Description\n\n{CAPTION}",
        f"## What is seen\n{CAPTION}",
        f"- {CAPTION}",
        f"> {CAPTION}",
        "A brown dog runs\nacross a\u2028green field.",
        "A brown dog runs across [a green field](https://example.org).",
    ],
)
def test_a_caption_is_found_in_what_wraps_it(answer):
    assert caption_of(answer) == CAPTION


@pytest.mark.parametrize(
    "caption",
    [
        'A sign says "I cannot stop" and another "no entry".',
        "Here a cat sleeps: it does not move.",
        "In this clip: a dog, a cat and 2 * 3 cubes.",
        "It seems no one is on the beach; file_name_1 stands on a box.",
        '"Stop" says a sign, and another says "Go"',
        "Two frames hang on a wall. I, robot is written on one.",
        "A description of the plan is shown on a screen.",
        "The video shows no images but text: the answer is 42.",
        "No pictures are on the wall, and no clips hold the curtain.",
        "As an airplane lands, 3-4 people wave.",
        "Please do not feed the birds, reads a sign.",
        "Ein roter Ball rollt über den Hof.",
        "一只狗在草地上奔跑。",
    ],
)
def test_captions_stay_as_they_are(caption):
    assert caption_of(caption) == caption


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ('""', "empty"),
        ("...", "empty"),
        ("<think>all of it</think>", "empty"),
        ("<think>The user wants", "without an end"),
        ("<|channel|>analysis<|message|>The user wants", "without an end"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m unable to view videos.", "refusal"),
        ("I cannot provide a description of this person.", "refusal"),
        ("I can't assist with that request.", "refusal"),
        ("Sorry, I can’t describe this.", "refusal"),
        ("As an AI language model, I have no eyes.", "refusal"),
        ("Unfortunately, I was given no frames.", "refusal"),
        ("No images were provided. Please upload the frames.", "refusal"),
        ("It seems that you haven't shared the clip yet.", "refusal"),
        ("Please provide the frames that you want described.", "refusal"),
        ("There are no frames to describe.", "refusal"),
        ("Certainly! However, I am not able to identify people.", "refusal"),
        ("很抱歉，我无法描述这个视频。", "refusal"),
        ("Es tut mir leid, das kann ich nicht.", "refusal"),
        ("1. A dog\n2. A field\n", "list"),
        ("Here is the caption:\n- a dog\n- a field", "list"),
        ("| a | b |\n| - | - |", "list"),
        ("A dog.\n```json\n{}\n``` and more", "list"),
        ("A dog <loc> runs", "tags"),
    ],
)
def test_what_is_no_caption_is_refused(answer, said):
    with pytest.raises(Unusable, match=said):
        caption_of(answer)


def test_an_answer_that_is_cut_off_is_none():
    with pytest.raises(Unusable, match="cut off"):
        caption_of("A brown dog runs across a", is_whole=False)


def test_a_long_answer_takes_no_time():
    for part in ("<think>", "**", "I am ", "here is ", "[a](", "``` ", "\n- ", "</think>"):
        try:
            caption_of(part * (4000 // len(part)))
            caption_of(part * 500_000)
        except Unusable:
            continue
