"""The commands that follow a fit, with the user's own paths."""

from pathlib import Path

import pytest

from videolm.cli.next_command import next_commands

OUT = Path("my runs/cats")


def test_a_tokenizer_is_followed_by_sound_and_codes_of_the_same_clips():
    data = {"source": "my clips", "where": ["group=cats"]}
    audio, encode = next_commands("tokenizer", data, OUT)
    chosen = "'my clips' --where group=cats"
    assert encode == f"videolm encode {chosen} --model 'my runs/cats/model' --out 'my runs/cats/shards'"
    chosen = "--data.source 'my clips' --data.where group=cats"
    assert audio.startswith(f"videolm audio fit --config clips {chosen} --out 'my runs/cats'")
    assert next_commands("audio", data, OUT) == [encode]
    both = next_commands("tokenizer", {"source": "a", "where": ["group=cats", "kind=x"]}, OUT)
    assert """--data.where '["group=cats", "kind=x"]'""" in both[0]
    assert "--where group=cats --where kind=x" in both[1]


@pytest.mark.parametrize(
    ("text", "asks"),
    [("a cat; rm x", "--task text_to_video --text 'a cat; rm x'"), (None, "--task frame_prediction")],
)
def test_a_language_model_is_followed_by_a_clip(text, asks):
    (line,) = next_commands("lm", {"tasks": {"frame_prediction": 1.0}}, Path("run"), text)
    assert line == f"videolm generate --model run/model {asks} --out run/clip.mp4"
