import warnings
from pathlib import Path

import pytest
import torch

from videolm.data.clip import Clip
from videolm.data.datamodule import ClipDataModule
from videolm.data.media import write_clip

SMALL = {"height": 16, "width": 16, "num_frames": 5, "fps": 8.0, "batch_size": 4}


def numbered_clip(number: int, num_frames: int, sound: bool = True) -> Clip:
    """Frame f of clip n is of one grey, 8 n + f."""
    shades = torch.arange(num_frames, dtype=torch.uint8) + 8 * number
    waveform = torch.full((1, num_frames * 1000), 0.01 * number) if sound else None
    frames = shades.view(-1, 1, 1, 1).expand(-1, 16, 16, 3).contiguous()
    return Clip(frames, 8.0, waveform, 8000 if sound else None)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six clips of eight frames, lossless as gif, with captions."""
    for number in range(6):
        write_clip(numbered_clip(number, 8, sound=False), tmp_path / f"{number}.gif")
    lines = [
        f'{{"path": "{number}.gif", "caption": "clip {number}", "parity": "{number % 2}"}}'
        for number in range(6)
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def module(source: Path | str = "synthetic", **settings) -> ClipDataModule:
    data = ClipDataModule(str(source), **SMALL | {"clips": 8, "validation_clips": 2} | settings)
    data.setup()
    return data


def batches(data: ClipDataModule, epoch: int = 0) -> list[dict]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [data.on_before_batch_transfer(batch, 0) for batch in loader]


def same(one: list[dict], other: list[dict]) -> bool:
    return len(one) == len(other) and all(
        a["caption"] == b["caption"] and torch.equal(a["frames"], b["frames"])
        for a, b in zip(one, other, strict=True)
    )


def test_synthetic_batches_have_frames_sound_and_captions():
    first, second = batches(module(sample_rate=8000))
    for batch in (first, second):
        assert batch["frames"].shape == (4, 5, 16, 16, 3) and batch["frames"].dtype == torch.uint8
        assert batch["waveform"].shape == (4, 1, 5000) and batch["waveform"].abs().max() > 0
        assert len(batch["caption"]) == 4 and all(batch["caption"])
    assert not torch.equal(first["frames"], second["frames"])
    assert "waveform" not in batches(module())[0]


def test_synthetic_epochs_and_validation_show_different_clips():
    data = module(clips=4)
    (first,), (second,) = batches(data, 0), batches(data, 1)
    (held_out,) = list(data.val_dataloader())
    shown = [clip.tobytes() for batch in (first, second, held_out) for clip in batch["frames"].numpy()]
    assert len(shown) == 10 and len(set(shown)) == 10


def test_batches_are_the_same_in_every_run_and_for_any_number_of_workers():
    expected = batches(module())
    assert same(batches(module()), expected)
    assert same(batches(module(num_workers=2)), expected)
    assert not same(batches(module(seed=1)), expected)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_goes_on_where_its_state_was_taken(num_workers):
    data = module(clips=16, num_workers=num_workers)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    rest = list(iterator)
    resumed = data.train_dataloader()
    resumed.load_state_dict(state)
    assert len(rest) == 3 and same(list(resumed), rest)


def test_windows_of_files_start_anywhere_and_differ_between_epochs(folder):
    data = module(folder, clips=40)
    starts, windows = set(), []
    for epoch in range(2):
        shades = torch.cat([batch["frames"] for batch in batches(data, epoch)])[:, :, 0, 0, 0].int()
        assert (shades.diff(dim=1) == 1).all()  # five frames that follow each other
        starts |= set((shades[:, 0] % 8).tolist())
        windows.append(shades)
    assert starts == {0, 1, 2, 3} and not torch.equal(*windows)


def test_captions_stay_with_their_clips_and_each_pass_shows_every_clip(folder):
    seen = []
    for batch in batches(module(folder, clips=8)):
        shades = batch["frames"][:, 0, 0, 0, 0].int()
        assert batch["caption"] == [f"clip {shade // 8}" for shade in shades.tolist()]
        seen += batch["caption"]
    assert set(seen[:4]) == set(seen[4:]) == {f"clip {number}" for number in range(4)}


def test_the_last_entries_are_held_out(folder):
    data = module(folder)
    (held_out,) = list(data.val_dataloader())
    assert held_out["caption"] == ["clip 4", "clip 5"]
    assert same([held_out], list(data.val_dataloader()))


def test_where_selects_entries(folder):
    data = module(folder, where=["parity=0"], validation_clips=1)
    captions = {caption for batch in batches(data) for caption in batch["caption"]}
    assert captions == {"clip 0", "clip 2"}


def test_files_that_cannot_be_used_are_left_out_and_named(folder):
    (folder / "0.gif").write_bytes(b"not a clip")
    write_clip(numbered_clip(1, 3, sound=False), folder / "1.gif")
    data = module(folder, clips=16)
    with pytest.warns(UserWarning) as raised:
        captions = {caption for batch in batches(data) for caption in batch["caption"]}
    assert captions == {"clip 2", "clip 3"}
    assert len(data.skipped) == sum("left out" in str(each.message) for each in raised) == 2
    reasons = " ".join(sorted(data.skipped.values()))
    assert "0.gif" in reasons and "1.gif: 3 frames at 8 fps; 5 are needed" in reasons


def test_the_whole_run_ends_only_if_no_file_can_be_used(folder):
    with pytest.raises(ValueError, match=r"none of the 4 clips can be used.*has no sound"):
        batches(module(folder, sample_rate=8000))


def test_sound_follows_the_window(tmp_path):
    for number in range(3):
        ramp = torch.linspace(0, 0.8, 9000)[None]
        clip = numbered_clip(number, 9)
        write_clip(Clip(clip.frames, 8.0, ramp, 8000), tmp_path / f"{number}.mp4")
    data = module(tmp_path, sample_rate=8000, validation_clips=1)
    for batch in batches(data):
        assert batch["waveform"].shape == (4, 1, 5000)


def test_files_beyond_the_memory_limit_are_decoded_again_with_the_same_result(folder, monkeypatch):
    expected = batches(module(folder))
    monkeypatch.setattr("videolm.data.datamodule._CACHE_BYTES", 3 * 8 * 16 * 16 * 3)
    data = module(folder)
    assert same(batches(data), expected)
    assert len(data.training.cache) == 3


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"clips": 3}, "batch_size is 4 and clips 3"),
        ({"validation_clips": 0}, "validation_clips is 0"),
        ({"where": ["group"]}, "'group'; expected key=value"),
        ({"where": ["a=b"]}, "embedded corpus has none"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        module(**settings)


def test_a_source_too_small_to_hold_clips_out_is_refused(folder):
    with pytest.raises(ValueError, match="3 clips with parity=1; too few to hold out validation_clips = 3"):
        module(folder, where=["parity=1"], validation_clips=3)


def test_nothing_is_warned_about_a_sound_source(folder):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="left out")
        batches(module(folder))
