import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.psnr import psnr
from videolm.data.media.reading import read_clip
from videolm.data.runtime.files import read_json, write_json
from videolm.evaluation.metrics.reconstruction import ssim
from videolm.evaluation.reconstruct import decode_file, encode_file, reconstruct_file
from videolm.tokenizers.video.clip_codes import ClipCodes, decode_clip, encode_clip
from videolm.tokenizers.video.protocol import load_video_tokenizer


@pytest.fixture(scope="module")
def source(clip: Clip, tmp_path_factory) -> Path:
    """7 frames of 30x26 with sound: no length and no size that the tokenizer takes."""
    path = tmp_path_factory.mktemp("source") / "clip.mp4"
    short = clip.window(0, 7)
    write_clip(replace(short, frames=short.frames[:, :30, :26].contiguous()), path)
    return path


@pytest.fixture
def loaded(model_folder):
    return load_video_tokenizer(model_folder / "video_tokenizer")


def test_a_file_comes_back_in_its_length_and_size_with_its_sound(source, model_folder, tmp_path, capsys):
    before = read_clip(source)
    after = read_clip(reconstruct_file(source, tmp_path / "again.mp4", model_folder))
    assert after.frames.shape == before.frames.shape and after.fps == pytest.approx(before.fps)
    assert before.waveform is not None and after.waveform is not None
    text = capsys.readouterr().out
    assert "7 frames of 30x26 at 8 fps, padded to 9 frames of 32x32" in text


def test_the_lines_say_what_the_codes_cost_and_lose(source, model_folder, loaded, tmp_path, capsys):
    reconstruct_file(source, tmp_path / "again.mp4", model_folder)
    text = capsys.readouterr().out
    clip = read_clip(source)
    codes = encode_clip(loaded, clip)
    decoded = decode_clip(loaded, codes).frames
    assert f"{codes.bits_per_pixel:.4f} bits per pixel" in text
    assert float(re.search(r"([\d.]+) kbit/s", text)[1]) == pytest.approx(
        codes.kilobits_per_second, abs=0.006
    )
    for name, metric, digits in (("PSNR", psnr, 2), ("SSIM", ssim, 4)):
        values = metric(clip.frames, decoded)
        mean, worst = re.search(rf"{name} (-?[\d.]+).*?worst frame (-?[\d.]+)", text).groups()
        assert float(mean) == pytest.approx(float(values.mean()), abs=10**-digits)
        assert float(worst) == pytest.approx(float(values.min()), abs=10**-digits)


def test_nothing_is_said_of_padding_where_there_is_none(clip, model_folder, tmp_path, capsys):
    write_clip(clip, tmp_path / "clip.mp4")
    reconstruct_file(tmp_path / "clip.mp4", tmp_path / "again.mp4", model_folder)
    assert "padded" not in capsys.readouterr().out


def test_encoding_and_decoding_a_file_give_what_the_codec_gives(
    source, model_folder, loaded, tmp_path, capsys
):
    target = encode_file(source, tmp_path / "clip.codes", model_folder)
    codes = ClipCodes.load(target)
    assert (codes.codes == encode_clip(loaded, read_clip(source)).codes).float().mean() > 0.98
    assert f"{target.stat().st_size:,} bytes" in capsys.readouterr().out
    back = read_clip(decode_file(target, tmp_path / "back.mp4", model_folder))
    assert back.frames.shape == (7, 30, 26, 3) and back.waveform is None
    write_clip(decode_clip(loaded, codes), tmp_path / "direct.mp4")
    direct = read_clip(tmp_path / "direct.mp4").frames
    assert psnr(back.frames, direct).min() > 30  # a last digit may round a byte another way


def test_an_image_goes_through_all_commands(clip, model_folder, tmp_path, capsys):
    image, codes, back = (tmp_path / name for name in ("image.png", "image.codes", "back.png"))
    write_clip(clip.window(0, 1), image)
    for command in (f"encode {image} {codes}", f"decode {codes} {back}", f"reconstruct {image} {back}"):
        assert main(["tokenizer", *command.split(), "--model", str(model_folder)]) == 0
        assert "1 frame of 32x32" in capsys.readouterr().out
    assert read_clip(back).num_frames == 1


def test_a_folder_without_audio_tokenizer_keeps_the_sound_as_it_is(source, model_folder, tmp_path):
    shutil.copytree(model_folder / "video_tokenizer", tmp_path / "model" / "video_tokenizer")
    after = read_clip(reconstruct_file(source, tmp_path / "again.mp4", tmp_path / "model"))
    assert after.waveform is not None and after.sample_rate == read_clip(source).sample_rate


def test_a_foreign_tokenizer_takes_the_place_of_ours(source, tmp_path, capsys):
    from transformers import Emu3VQVAE, Emu3VQVAEConfig

    torch.manual_seed(0)
    sizes = {"base_channels": 32, "channel_multiplier": (1, 1, 1, 1), "num_res_blocks": 1, "hidden_size": 32}
    Emu3VQVAE(Emu3VQVAEConfig(codebook_size=64, **sizes)).save_pretrained(tmp_path / "video_tokenizer")
    reconstruct_file(source, tmp_path / "again.mp4", tmp_path)
    assert "padded to 9 frames of 32x32" in capsys.readouterr().out
    assert read_clip(tmp_path / "again.mp4").num_frames == 7
    score = f"tokenizer score synthetic --model {tmp_path} --out {tmp_path / 's'} --clips 1 --num-frames 5"
    assert main(score.split()) == 0
    assert "of 64 codes in use" in capsys.readouterr().out


@pytest.fixture
def mistakes(source, model_folder, tmp_path) -> dict[str, str]:
    encode_file(source, tmp_path / "good.codes", model_folder)
    (tmp_path / "cut.codes").write_bytes((tmp_path / "good.codes").read_bytes()[:-3])
    other = tmp_path / "other"
    shutil.copytree(model_folder / "video_tokenizer", other / "video_tokenizer")
    config = read_json(other / "video_tokenizer" / "config.json")
    (other / "video_tokenizer" / "checksums.json").unlink()
    write_json(other / "video_tokenizer" / "config.json", config | {"kind": "codec"})
    return {"tmp": str(tmp_path), "model": str(model_folder), "clip": str(source), "other": str(other)}


BAD = {
    "codes that are cut": ("decode {tmp}/cut.codes {tmp}/x.mp4 --model {model}", "no codes that can be read"),
    "a video for codes": ("decode {clip} {tmp}/x.mp4 --model {model}", "no codes that can be read"),
    "no codes": ("decode {tmp}/none.codes {tmp}/x.mp4 --model {model}", "there is no file"),
    "codes for a video": ("encode {tmp}/good.codes {tmp}/x.codes --model {model}", "good.codes"),
    "no video": ("encode {tmp}/none.mp4 {tmp}/x.codes --model {model}", "none.mp4"),
    "another suffix": ("encode {clip} {tmp}/x.mp4 --model {model}", "expected a suffix of .codes"),
    "a folder": ("encode {clip} {tmp} --model {model}", "is a folder"),
    "a file for a folder": ("encode {clip} {clip}/x.codes --model {model}", "exists"),
    "no format": ("decode {tmp}/good.codes {tmp}/x.flv --model {model}", "names no format"),
    "no model": ("encode {clip} {tmp}/x.codes --model {tmp}/nowhere", "no model folder"),
    "another kind": ("reconstruct {clip} {tmp}/x.mp4 --model {other}", "describes kind 'codec'; expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_line_and_leaves_no_file(name: str, mistakes, capsys) -> None:
    command, said = BAD[name]
    capsys.readouterr()
    assert main(["tokenizer", *command.format(**mistakes).split()]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not list(Path(mistakes["tmp"]).glob("x.*"))


def test_codes_of_another_tokenizer_are_one_line(mistakes, make_model, capsys) -> None:
    make_model(1).video_tokenizer.save_pretrained(Path(mistakes["tmp"]) / "second" / "video_tokenizer")
    command = "tokenizer decode {tmp}/good.codes {tmp}/x.mp4 --model {tmp}/second".format(**mistakes)
    assert main(command.split()) == 2
    assert "the codes are those of tokenizer" in capsys.readouterr().err
