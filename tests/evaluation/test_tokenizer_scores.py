import json
import math
from pathlib import Path

import pytest
import torch
from sides import groups

from videolm.cli.main import main
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.pixels import pixels_from_frames
from videolm.data.media.psnr import psnr
from videolm.data.synthetic.corpus import Corpus
from videolm.evaluation.metrics.reconstruction import frame_quality, ssim, worst
from videolm.evaluation.tokenizer_scores import baselines, score_tokenizer, still_psnr, table, write_scores

BEST = 10 * math.log10(255**2 * 12)  # of identical frames
BASELINES = ["first frame repeated", "last frame repeated", "mean image"]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=generator)


class Rounding(torch.nn.Module):
    """A tokenizer whose code is the grey of a square of 8 x 8 pixels of every fourth frame."""

    codebook_size, factors, temporal_stride, spatial_stride = 256, (16, 16), 4, 8
    fingerprint = "0"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        return 1 + (num_frames - 1) // 4, height // 8, width // 8

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        squares = torch.nn.functional.avg_pool3d(pixels.mean(1)[:, ::4], (1, 8, 8))
        return ((squares + 1) * 127.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        times = [0, *(1 + frame // 4 for frame in range(4 * (codes.shape[1] - 1)))]
        wide = codes[:, times].repeat_interleave(8, 2).repeat_interleave(8, 3)
        return (wide / 127.5 - 1)[:, None].expand(-1, 3, -1, -1, -1).float()

    def save_pretrained(self, folder: str | Path) -> None:
        raise NotImplementedError


def test_repeating_frames_is_perfect_where_the_picture_stands_still():
    still = noise(1, 16, 16).expand(9, -1, -1, -1)
    methods = score_tokenizer(Rounding(), [still])["methods"]
    for name in BASELINES:
        assert methods[name]["psnr_db"]["later"] == pytest.approx(BEST)
        assert methods[name]["ssim"]["worst"] == pytest.approx(1.0)
    assert methods["tokenizer"]["psnr_db"]["later"] < 15


def test_the_distance_of_reconstructions_is_zero_without_loss_and_is_named_by_its_network():
    class Lossless(Rounding):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            self.pixels = pixels
            return super().encode(pixels)

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return self.pixels

    clips = [noise(9, 16, 16, seed=seed) for seed in range(3)]
    found = {
        type(each).__name__: score_tokenizer(each, clips)["distances"] for each in (Lossless(), Rounding())
    }
    assert found["Lossless"]["rfvd_random"]["value"] == pytest.approx(0, abs=1e-9)
    assert found["Rounding"]["rfvd_random"]["value"] > 0.1
    assert found["Rounding"]["rfvd_random"]["real_clips"] == 3
    assert found["Rounding"]["rfvd"]["value"] is None
    assert list(score_tokenizer(Rounding(), [clip[:1] for clip in clips])["distances"]) == [
        "rfid", "rfid_random",
    ]  # fmt: skip


def test_the_last_frame_seen_is_the_one_before_the_group():
    frames = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1, 1).expand(-1, 8, 8, 3)[:9]
    predicted = baselines(frames, temporal_stride=4)
    assert predicted["last frame repeated"][:, 0, 0, 0].tolist() == [0, 0, 0, 0, 4, 4, 4, 4]
    assert predicted["first frame repeated"][:, 0, 0, 0].tolist() == [0] * 8
    assert predicted["mean image"][:, 0, 0, 0].tolist() == [4] * 8


def test_no_still_picture_is_nearer_than_the_mean_image():
    frames = noise(9, 16, 16)
    mean = baselines(frames, 4)["mean image"]
    error = (mean.double() - frames[1:]).square().mean()
    for other in (frames[0], frames[4], mean[0] ^ 1):
        assert error < (other.double() - frames[1:]).square().mean()


def test_a_prediction_sees_no_more_than_it_says():
    frames, changed = noise(9, 16, 16), noise(9, 16, 16)
    changed[5:] = noise(4, 16, 16, seed=1)
    before, after = baselines(frames, 4), baselines(changed, 4)
    for name in ("first frame repeated", "last frame repeated"):
        assert torch.equal(before[name], after[name])


def test_still_pictures_are_scored_over_the_later_frames_of_all_clips():
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randint(256, (5, 8, 8, 3), dtype=torch.uint8, generator=generator) for _ in range(2)]
    expected = torch.stack([psnr(clip[1:], clip[:1].expand(4, -1, -1, -1)) for clip in clips]).mean()
    assert still_psnr(clips, 4)["first frame repeated"] == pytest.approx(float(expected))
    assert still_psnr([clip[:1] for clip in clips], 4) == {}


def test_scores_are_the_means_of_the_frames_of_all_clips():
    tokenizer, clips = Rounding(), [noise(5, 16, 24, seed=seed) for seed in range(3)]
    scores = score_tokenizer(tokenizer, iter(clips))
    values = []
    for clip in clips:
        (pixels,) = tokenizer.decode(tokenizer.encode(pixels_from_frames(clip[None])))
        grey = ((pixels + 1) * 127.5).round().to(torch.uint8)
        values.append(psnr(clip, grey.permute(1, 2, 3, 0)))
    values = torch.stack(values)
    measured = scores["methods"]["tokenizer"]["psnr_db"]
    assert measured["all"] == pytest.approx(float(values.mean()), rel=1e-5)
    assert measured["first"] == pytest.approx(float(values[:, 0].mean()), rel=1e-5)
    assert measured["later"] == pytest.approx(float(values[:, 1:].mean()), rel=1e-5)
    assert measured["worst"] == pytest.approx(float(values.min()), rel=1e-5)
    assert measured["by_frame"] == pytest.approx(values.mean(0).tolist(), rel=1e-5)


def test_codes_and_bits_are_counted_over_all_clips():
    clips = [torch.full((5, 16, 16, 3), grey, dtype=torch.uint8) for grey in (3, 3, 200, 90)]
    scores = score_tokenizer(Rounding(), clips)
    assert (scores["clips"], scores["codes"]) == (4, 4 * 2 * 2 * 2)
    assert scores["code_use"] == 3 / 256
    assert scores["perplexity"] == pytest.approx(math.exp(0.5 * math.log(2) + 0.5 * math.log(4)))
    assert scores["bits_per_pixel"] == pytest.approx(8 * 8 / (5 * 16 * 16))


def test_predictions_have_no_score_for_the_first_frame_that_they_are_given():
    methods = score_tokenizer(Rounding(), [noise(5, 16, 16)])["methods"]
    assert list(methods) == ["tokenizer", *BASELINES]
    for name in BASELINES:
        measured = methods[name]["psnr_db"]
        assert measured["all"] is None and measured["first"] is None
        assert measured["by_frame"][0] is None and len(measured["by_frame"]) == 5


def test_images_are_scored_without_predictions():
    scores = score_tokenizer(Rounding(), [noise(1, 16, 16)])
    assert list(scores["methods"]) == ["tokenizer"]
    assert scores["methods"]["tokenizer"]["psnr_db"]["later"] is None
    assert "-" in table(scores).splitlines()[2].split()


def test_quality_is_that_of_each_frame_however_many_there_are():
    real, other = noise(37, 16, 16), noise(37, 16, 16, seed=1)
    quality = frame_quality(real, other)
    torch.testing.assert_close(quality["psnr_db"], psnr(real, other))
    torch.testing.assert_close(quality["ssim"], ssim(real, other))
    assert frame_quality(real[:, :5], other[:, :5]).keys() == {"psnr_db"}  # too small for SSIM


def test_a_distance_that_is_given_is_a_column_whose_worst_is_the_largest():
    def distance(real: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        assert real.shape == other.shape and real.shape[0] == 3 and real.abs().max() <= 1
        return (real - other).abs().mean((0, 2, 3))

    scores = score_tokenizer(Rounding(), [noise(5, 16, 16)], lpips=distance)
    measured = scores["methods"]["tokenizer"]["lpips"]
    assert measured["worst"] == max(measured["by_frame"]) > measured["all"]
    assert "LPIPS" in table(scores)
    assert "LPIPS" not in table(score_tokenizer(Rounding(), [noise(5, 16, 16)]))
    assert worst("ssim", torch.tensor([0.5, 0.2])) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "shapes, said",
    [([], "no clips"), ([(5, 16, 16), (9, 16, 16)], "expected one for all")],
)
def test_clips_that_cannot_be_averaged_are_refused(shapes, said):
    with pytest.raises(ValueError, match=said):
        score_tokenizer(Rounding(), [noise(*shape) for shape in shapes])


def test_the_table_has_a_row_for_each_method_with_what_was_measured():
    scores = score_tokenizer(Rounding(), [noise(9, 16, 16)])
    lines = table(scores).splitlines()
    for name, line in zip(["tokenizer", *BASELINES], lines[2:6], strict=True):
        assert line.startswith(name)
        assert f"{scores['methods'][name]['psnr_db']['later']:.2f}" in line
    assert "of 256 codes in use" in lines[6]
    assert len(lines[7].removeprefix("PSNR by frame: ").split()) == 9


def test_written_scores_read_back_and_the_curve_is_a_picture(tmp_path):
    from PIL import Image

    scores = score_tokenizer(Rounding(), [noise(9, 16, 16)])
    written = write_scores(tmp_path / "scores", scores)
    assert [path.name for path in written] == ["scores.json", "psnr_by_frame.png"]
    assert json.loads(written[0].read_text()) == scores
    with Image.open(written[1]) as picture:
        assert picture.size == (720, 384)


SIZES = "--height 32 --width 32 --num-frames 9"


def test_the_command_scores_the_embedded_corpus(model_folder, tmp_path, capsys):
    out = tmp_path / "scores"
    arguments = f"tokenizer score synthetic --model {model_folder} --out {out} --clips 3 {SIZES}".split()
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "3 clips of 9 frames of 32x32" in text and "last frame repeated" in text
    assert text.strip().splitlines()[-1] == f"wrote {out / 'psnr_by_frame.png'}"
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["split"], scores["seed"], scores["skipped"]) == ("triples", 0, [])


def test_the_command_scores_the_held_out_files_of_a_folder_and_names_the_unusable(
    model_folder, tmp_path, capsys
):
    corpus = Corpus(height=32, width=32, num_frames=9, fps=8.0)
    clips = tmp_path / "clips"
    clips.mkdir()
    lines = []
    for index, group in enumerate([*groups(held_out=True, number=3), *groups(held_out=False, number=3)]):
        write_clip(Clip(corpus[index].frames, 8.0), clips / f"{index}.mp4")
        lines.append(json.dumps({"path": f"{index}.mp4", "group": group}))
    (clips / "captions.jsonl").write_text("\n".join(lines))
    (clips / "0.mp4").write_text("not a video")
    arguments = f"tokenizer score {clips} --model {model_folder} --out {tmp_path / 'x'} {SIZES}".split()
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "2 clips of 9 frames" in text and "left out 1, such as" in text and "0.mp4" in text
    assert "3 of 6 entries, those that training holds out (--split all: any)" in text
    assert main([*arguments, "--split", "all"]) == 0
    text = capsys.readouterr().out
    assert "5 clips of 9 frames" in text and "6 of 6 entries\n" in text
    assert main([*arguments, "--clips", "1"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the 1 chosen entries" in error and "0.mp4" in error


@pytest.mark.parametrize(
    "options, said",
    [
        ("--num-frames 8", "clip has 8 frames"),
        ("--height 30", "frames are 30x64"),
        ("--clips 0", "clips is 0"),
        ("--lpips nowhere.pth", "nowhere.pth"),
    ],
)
def test_what_cannot_be_scored_is_one_line(model_folder, tmp_path, capsys, options, said):
    command = f"tokenizer score synthetic --model {model_folder} --out {tmp_path / 'x'} {options}"
    assert main(command.split()) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "x").exists()
