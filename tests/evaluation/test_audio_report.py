import json
from dataclasses import replace

import pytest
import torch
from sounds import RATE, tone

from videolm.cli.main import main
from videolm.data.media.clip import write_clip
from videolm.evaluation.audio_report import table, write_scores
from videolm.evaluation.audio_scores import code_sounds, score_audio_tokenizer, scores_of


def test_the_table_has_a_row_for_each_method_and_level(codec):
    scores = score_audio_tokenizer(codec, [tone(200)])
    lines = table(scores).splitlines()
    assert lines[0] == "1 sounds, 1.0 s at 16,000 Hz, 2 levels, 400 bits per second"
    for (name, measured), line in zip(scores["methods"].items(), lines[2:6], strict=True):
        assert line.startswith(name)
        assert f"{measured['si_sdr_db']:.2f}" in line and f"{measured['log_mel_db']:.2f}" in line
    assert [line.split(":")[0] for line in lines[6:]] == ["mu-law", "level 1", "level 2"]
    silent = score_audio_tokenizer(codec, [torch.zeros(1, RATE)])
    assert "-" in table(silent).splitlines()[2].split()


@pytest.mark.parametrize("seconds", [0, 1])
def test_written_scores_read_back_and_the_spectrograms_are_a_picture(codec, tmp_path, seconds):
    from PIL import Image

    coded = code_sounds(codec, [torch.zeros(1, RATE), seconds * tone(200, 8000)])
    scores = scores_of(codec, coded)
    written = write_scores(tmp_path / "scores", scores, coded)
    assert [path.name for path in written] == ["scores.json", "spectrograms.png"]
    assert json.loads(written[0].read_text()) == scores
    with Image.open(written[1]) as picture:
        assert picture.size == (840, 912)


def test_the_command_scores_the_embedded_corpus(model_folder, tmp_path, capsys):
    out = tmp_path / "scores"
    command = f"audio score synthetic --model {model_folder} --out {out} --clips 2 --num-frames 5"
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert "2 sounds, 1.2 s at 16,000 Hz" in text and "random codebooks" in text
    assert text.strip().splitlines()[-1] == f"wrote {out / 'spectrograms.png'}"
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["split"], scores["seed"], scores["skipped"]) == ("triples", 0, [])
    assert scores["seconds"] == 2 * 31 * 320 / RATE  # 5 frames at 8 fps hold 31 whole hops


def test_the_command_scores_files_of_a_folder_and_names_the_unusable(
    clip, model_folder, tmp_path, capsys
):
    clips = tmp_path / "clips"
    clips.mkdir()
    for index in range(2):
        write_clip(clip, clips / f"{index}.mp4")
    write_clip(replace(clip, waveform=None, sample_rate=None), clips / "2.mp4")
    (clips / "3.mp4").write_text("not a video")
    command = f"audio score {clips} --model {model_folder} --out {tmp_path / 'x'} --num-frames 9 --split all"
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert "2 sounds" in text and "left out 2, such as" in text
    for name in ("0", "1"):
        (clips / f"{name}.mp4").unlink()
    assert main(command.split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the 2 chosen entries" in error
