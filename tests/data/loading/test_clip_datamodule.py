import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning import LightningModule, Trainer
from PIL import Image
from sides import groups

from videolm.data.loading.buckets import Bucket
from videolm.data.loading.clip_datamodule import ClipDataModule
from videolm.data.media.clip import Clip, write_clip

SQUARE = Bucket(num_frames=5, height=16, width=16, batch_size=2, share=0.5)
IMAGES = Bucket(num_frames=1, height=16, width=16, batch_size=4, share=0.3)
WIDE = Bucket(num_frames=5, height=16, width=28, batch_size=1, share=0.2)
BUCKETS = [SQUARE, IMAGES, WIDE]
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
    sides = [*groups(held_out=False, number=4), *groups(held_out=True, number=2)]  # 4 and 5 are held out
    lines = [
        f'{{"path": "{number}.gif", "caption": "clip {number}", "parity": "{number % 2}", "group": "{side}"}}'
        for number, side in enumerate(sides)
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


def shapes(batches: list[dict]) -> Counter:
    """How many batches there are of (clips, frames, height, width)."""
    return Counter(tuple(batch["frames"].shape[:4]) for batch in batches)


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


def test_sound_that_is_not_wanted_is_in_no_batch(folder):
    """Some files of a folder may have sound, at rates of their own, and others none."""
    for number in (0, 1):
        write_clip(numbered_clip(number, 8), folder / f"0{number}.mp4")
    (folder / "captions.jsonl").unlink()
    for batch in batches(module(folder)):
        assert batch["frames"].shape == (4, 5, 16, 16, 3) and "waveform" not in batch


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


def test_groups_are_held_out(folder):
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
    assert "0.gif" in reasons and "1.gif: 3 frames at 8 fps; expected at least 5" in reasons


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
    monkeypatch.setattr("videolm.data.loading.clip_datamodule._CACHE_BYTES", 3 * 8 * 16 * 16 * 3)
    data = module(folder)
    assert same(batches(data), expected)
    assert len(data.training[0].files.cache) == 3


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"clips": 3}, "batch_size is 4 and clips 3"),
        ({"batch_size": 0}, "batch_size is 0; expected 1 or more"),
        ({"buckets": [SQUARE, Bucket(5, 16, 16, 2, share=0)]}, "share is 0 of bucket 5 x 16x16"),
        ({"buckets": []}, "the list of buckets is empty"),
        ({"buckets": [Bucket(1, 16, 16, 9)]}, "batch_size is 9 and clips 8"),
        ({"validation_clips": 0}, "validation_clips is 0"),
        ({"where": ["group"]}, "'group'; expected key=value"),
        ({"where": ["a=b"]}, "embedded corpus has none"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        module(**settings)


def test_a_source_too_small_to_hold_clips_out_is_refused(folder):
    with pytest.raises(ValueError, match=r"1 clips of 1 files or groups with is=one.*too few to hold one"):
        (folder / "captions.jsonl").write_text('{"path": "3.gif", "is": "one"}')
        module(folder, where=["is=one"])


def test_nothing_is_warned_about_a_sound_source(folder):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="left out")
        batches(module(folder))


def test_each_batch_is_of_one_bucket_and_shares_are_met():
    buckets = [Bucket(2, 8, 8, 2, 3), Bucket(1, 8, 8, 4, 1), Bucket(2, 8, 16, 1, 1)]
    found = batches(module(buckets=buckets, clips=220, sample_rate=4000))
    assert len(found) == 100  # of 2.2 clips in the mean
    assert {tuple(batch["waveform"].shape) for batch in found} == {(2, 1, 1000), (4, 1, 500), (1, 1, 1000)}
    counts = shapes(found)
    assert set(counts) == {(2, 2, 8, 8), (4, 1, 8, 8), (1, 2, 8, 16)}
    assert abs(counts[2, 2, 8, 8] - 60) < 15 and abs(counts[4, 1, 8, 8] - 20) < 12


def test_one_bucket_gives_the_batches_of_the_same_sizes_without_buckets(folder):
    sizes = Bucket(num_frames=5, height=16, width=16, batch_size=4)
    for source in ("synthetic", folder):
        for epoch in range(2):
            expected = batches(module(source), epoch)
            assert same(batches(module(source, buckets=[sizes]), epoch), expected)


def test_with_buckets_the_modules_own_sizes_are_those_of_validation():
    (held_out,) = list(module(buckets=BUCKETS).val_dataloader())
    assert held_out["frames"].shape == (2, 5, 16, 16, 3)
    assert same([held_out], list(module().val_dataloader()))


def test_buckets_of_the_corpus_show_different_clips():
    twins = [Bucket(5, 16, 16, 1), Bucket(5, 16, 16, 1)]
    shown = [batch["frames"].numpy().tobytes() for batch in batches(module(buckets=twins, clips=20))]
    assert len(set(shown)) == 20


@pytest.mark.long
def test_bucketed_batches_are_the_same_for_any_number_of_workers(folder):
    for source in ("synthetic", folder):
        expected = batches(module(source, buckets=BUCKETS, clips=24), epoch=1)
        assert len(expected) == 10 and len(shapes(expected)) == 3
        for num_workers in (1, 2):
            data = module(source, buckets=BUCKETS, clips=24, num_workers=num_workers)
            assert same(batches(data, epoch=1), expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bucketed_loader_goes_on_where_its_state_was_taken(num_workers):
    data = module(clips=24, num_workers=num_workers, buckets=BUCKETS)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    iterator = iter(loader)
    for _ in range(4):
        next(iterator)
    state = loader.state_dict()
    rest = list(iterator)
    resumed = data.train_dataloader()
    resumed.load_state_dict(state)
    assert len(rest) == 6 and same(list(resumed), rest)


@pytest.mark.parametrize("buckets", [None, BUCKETS])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_whose_epoch_was_complete_goes_on_with_the_next(buckets, num_workers):
    data = module(clips=12, buckets=buckets, num_workers=num_workers)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    iterator = iter(loader)
    for _ in range(len(loader)):
        next(iterator)
    resumed = data.train_dataloader()
    resumed.load_state_dict(loader.state_dict())
    assert same(list(resumed), batches(data, epoch=4))


class Recorder(LightningModule):
    """Learns nothing, keeps its batches, and writes a checkpoint after the last one."""

    def __init__(self, checkpoint: Path):
        super().__init__()
        self.checkpoint = checkpoint
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[dict] = []

    def training_step(self, batch, batch_index):
        self.seen.append(batch)
        return self.weight**2

    def on_train_batch_end(self, outputs, batch, batch_index):
        if self.trainer.global_step == self.trainer.max_steps:
            self.trainer.save_checkpoint(self.checkpoint)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(checkpoint: Path, steps: int, buckets: list[Bucket] | None, resume: Path | None = None) -> list[dict]:
    """Batches of training steps up to `steps`, in epochs of five."""
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    recorder = Recorder(checkpoint)
    data = module(buckets=buckets, batch_size=2, clips=12 if buckets else 10)
    trainer.fit(recorder, data, ckpt_path=resume, weights_only=True)
    return recorder.seen


@pytest.mark.parametrize("buckets", [None, BUCKETS])
def test_a_training_run_that_was_stopped_sees_the_batches_that_it_would_have_seen(tmp_path, buckets):
    whole = fit(tmp_path / "whole.ckpt", 12, buckets)
    assert len(whole) == 12 and len({batch["frames"].numpy().tobytes() for batch in whole}) == 12
    for stop in (3, 5, 6):  # within the first epoch, at its end, after it
        first = fit(tmp_path / "stopped.ckpt", stop, buckets)
        second = fit(tmp_path / "again.ckpt", 12, buckets, resume=tmp_path / "stopped.ckpt")
        assert same(first + second, whole)


def test_processes_take_batches_of_one_bucket_and_show_different_clips():
    alone = batches(module(buckets=BUCKETS, clips=24))
    ranks = []
    for rank in range(2):
        data = module(buckets=BUCKETS, clips=48)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        ranks.append(batches(data))
    for one, other, single in zip(*ranks, alone, strict=True):
        assert one["frames"].shape == other["frames"].shape == single["frames"].shape
        assert not torch.equal(one["frames"], other["frames"])
    data.trainer.world_size = 100
    with pytest.raises(ValueError, match="clips is 48; too few for a batch on each of 100 processes"):
        data.train_dataloader()


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Five square clips, two wide ones and two images, each of one grey, its caption; 0 is held out."""
    sizes = ["16x16.gif"] * 5 + ["16x28.gif"] * 2 + ["16x16.png"] * 2
    lines = []
    (held_out,), others = groups(held_out=True, number=1), groups(held_out=False, number=8)
    for number, name in enumerate(sizes):
        size, suffix = name.split(".")
        height, width = map(int, size.split("x"))
        num_frames = 1 if suffix == "png" else 8
        frames = torch.full((num_frames, height, width, 3), 8 * number, dtype=torch.uint8)
        write_clip(Clip(frames, 8.0), tmp_path / f"{number}.{suffix}")
        group = others[number - 1] if number else held_out
        lines.append(f'{{"path": "{number}.{suffix}", "caption": "{8 * number}", "group": "{group}"}}')
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    return tmp_path


def shown_by_shape(found: list[dict]) -> dict[tuple[int, ...], set[int]]:
    shown = {}
    for batch in found:
        for caption, frames in zip(batch["caption"], batch["frames"], strict=True):
            assert (frames == int(caption)).all()
            shown.setdefault(tuple(frames.shape[:3]), set()).add(int(caption) // 8)
    return shown


def test_files_serve_the_buckets_of_their_kind_and_shape(mixed):
    data = module(mixed, buckets=BUCKETS, clips=120, validation_clips=1)
    shown = shown_by_shape(batches(data))
    assert shown == {(5, 16, 16): {1, 2, 3, 4}, (5, 16, 28): {5, 6}, (1, 16, 16): {1, 2, 3, 4, 5, 6, 7, 8}}
    assert data.skipped == {}
    (held_out,) = list(data.val_dataloader())
    assert held_out["caption"] == ["0"]


def test_files_are_decoded_once_for_all_buckets_of_their_size(mixed):
    data = module(mixed, buckets=BUCKETS, clips=120, validation_clips=1)
    batches(data)
    square = {(index, 16, 16) for index in range(8)}
    wide = {key[:3] for key in data.training[0].files.cache if key[1:3] == (16, 28)}
    assert {key[:3] for key in data.training[0].files.cache} == square | wide and len(wide) == 2


def test_images_of_clips_are_any_of_their_frames(folder):
    data = module(folder, buckets=[Bucket(1, 16, 16, 4)], clips=200)
    shades = torch.cat([batch["frames"] for batch in batches(data)])[:, 0, 0, 0, 0]
    assert set((shades % 8).tolist()) == set(range(8))


def test_clips_too_short_for_a_bucket_still_serve_the_shorter_ones(folder):
    write_clip(numbered_clip(1, 3, sound=False), folder / "1.gif")
    data = module(folder, buckets=[SQUARE, IMAGES], clips=120)
    with pytest.warns(UserWarning, match=r"left out.*1\.gif: 3 frames at 8 fps; expected at least 5"):
        found = batches(data)
    captions = {batch["frames"].shape[1]: set() for batch in found}
    for batch in found:
        captions[batch["frames"].shape[1]] |= set(batch["caption"])
    assert captions == {
        5: {"clip 0", "clip 2", "clip 3"},
        1: {"clip 0", "clip 1", "clip 2", "clip 3"},
    }


def test_bucketed_files_beyond_the_memory_limit_give_the_same_batches(mixed, monkeypatch):
    expected = batches(module(mixed, buckets=BUCKETS, clips=48, validation_clips=1))
    monkeypatch.setattr("videolm.data.loading.clip_datamodule._CACHE_BYTES", 2 * 8 * 16 * 16 * 3)
    data = module(mixed, buckets=BUCKETS, clips=48, validation_clips=1)
    assert same(batches(data), expected)
    cached = data.training[0].files.cache.values()
    assert sum(clip.frames.nbytes for clip in cached) <= 2 * 8 * 16 * 16 * 3


def test_a_file_whose_size_cannot_be_read_is_named_before_training(mixed):
    (mixed / "3.gif").write_bytes(b"not a clip")
    data = ClipDataModule(str(mixed), **SMALL | {"validation_clips": 1, "clips": 60}, buckets=BUCKETS)
    with pytest.warns(UserWarning, match="left out.*3.gif: not a media file"):
        data.setup()
    shown = shown_by_shape(batches(data))
    assert shown[5, 16, 16] == {1, 2, 4} and 3 not in shown[1, 16, 16]


def test_a_folder_of_images_cannot_fill_a_bucket_of_videos(tmp_path):
    for number in range(3):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{number}.png")
    images_only = {"num_frames": 1, "validation_clips": 1}
    found = batches(module(tmp_path, buckets=[IMAGES], **images_only))
    assert shapes(found) == {(4, 1, 16, 16): 2}
    with pytest.raises(ValueError, match="none of 2 clips can serve bucket 5 x 16x16: 2 are images"):
        module(tmp_path, buckets=[IMAGES, SQUARE], **images_only)
    with pytest.raises(ValueError, match="has 3 clips of 3 files or groups, 0 of which fit"):
        module(tmp_path, buckets=[IMAGES], validation_clips=1)


YAML = """
data:
  clips: 8
  buckets:
  - {num_frames: 17, height: 128, width: 128, batch_size: 4, share: 0.6}
  - {num_frames: 1, height: 128, width: 128, batch_size: 8}
"""


def test_buckets_are_read_from_yaml():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ClipDataModule, "data")
    data = parser.instantiate(parser.parse_string(YAML)).data
    assert data.buckets == [Bucket(17, 128, 128, 4, 0.6), Bucket(1, 128, 128, 8, 1.0)]
    assert parser.instantiate(parser.parse_string("data: {clips: 16}")).data.buckets is None


def test_a_slip_in_the_yaml_of_a_bucket_is_named():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ClipDataModule, "data")
    for wrong, said in (("share: 0", "share is 0"), ("sare: 0.6", "sare"), ("share: much", "much")):
        with pytest.raises(Exception, match=said):
            parser.instantiate(parser.parse_string(YAML.replace("share: 0.6", wrong)))


@pytest.mark.long
def test_two_processes_with_two_workers_each_see_every_clip_once(tmp_path, in_two_processes):
    for index in range(25):  # one of them is held out
        Image.new("RGB", (8, 8), (index, index, index)).save(tmp_path / f"{index:02d}.png")
        (tmp_path / f"{index:02d}.txt").write_text(str(index))

    def seen(rank: int) -> list[int]:
        sizes = {"height": 8, "width": 8, "num_frames": 1, "batch_size": 3, "clips": 24}
        data = module(tmp_path, **sizes, validation_clips=1, validation_share=1e-9, num_workers=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        found = batches(data, epoch=0) + batches(data, epoch=1)
        return [int(caption) for batch in found for caption in batch["caption"]]

    first, second = in_two_processes(seen)
    for epoch in (slice(0, 12), slice(12, 24)):
        assert len(set(first[epoch] + second[epoch])) == 24
    assert first[:12] != sorted(first[:12]) and first[:12] != first[12:]


def test_a_class_sorted_folder_is_validated_on_all_classes_and_moving_it_changes_nothing(tmp_path):
    for kind in range(3):
        (tmp_path / "a" / f"class{kind}").mkdir(parents=True)
        for number in range(60):
            name = tmp_path / "a" / f"class{kind}" / f"{number:02d}.png"
            Image.new("RGB", (8, 8), (80 * kind, number, 0)).save(name)
            name.with_suffix(".txt").write_text(f"{kind} {number}")

    def sides(folder: Path) -> tuple[set[str], set[str]]:
        sizes = {"height": 8, "width": 8, "num_frames": 1, "clips": 180}
        data = module(folder, **sizes, validation_clips=16, validation_share=0.2)
        validated = {caption for batch in data.val_dataloader() for caption in batch["caption"]}
        return {caption for batch in batches(data) for caption in batch["caption"]}, validated

    trained, validated = sides(tmp_path / "a")
    assert not trained & validated and {caption[0] for caption in validated} == {"0", "1", "2"}
    (tmp_path / "a").rename(tmp_path / "b")
    assert sides(tmp_path / "b") == (trained, validated)


def test_a_set_of_ones_own_is_validated_on_and_nothing_is_held_out(folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for number in (7, 8):
        write_clip(numbered_clip(number, 8, sound=False), own / f"{number}.gif")
        (own / f"{number}.txt").write_text(f"clip {number}")
    (folder / "captions.jsonl").touch()
    data = module(folder, validation_source=str(own), clips=24)
    (held_out,) = list(data.val_dataloader())
    assert sorted(held_out["caption"]) == ["clip 7", "clip 8"]
    captions = {caption for batch in batches(data) for caption in batch["caption"]}
    assert captions == {f"clip {number}" for number in range(6)}
    with pytest.raises(ValueError, match="validated on its own clips"):
        module(validation_source=str(own))


@pytest.mark.parametrize("setting", [{"validation_share": 0.0}, {"validation_share": 1.0}])
def test_a_share_that_divides_nothing_is_refused(setting):
    with pytest.raises(ValueError, match="expected a share between 0 and 1"):
        module(**setting)


def test_headers_are_kept_in_the_folder_of_the_run(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    data = ClipDataModule(str(folder), **SMALL | {"clips": 8, "validation_clips": 2})
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, default_root_dir=str(run))
    data.setup("fit")
    batches(data)
    data.teardown("fit")
    (cache,) = (run / "probes").iterdir()
    assert cache.name.startswith("probes-") and '"info"' in cache.read_text()


@pytest.mark.parametrize(
    "settings, size",
    [
        ({}, (16, 16, 5)),
        ({"buckets": BUCKETS}, (16, 16, 5)),
        ({"buckets": [IMAGES, replace(WIDE, num_frames=9)]}, (16, 28, 9)),
    ],
)
def test_what_a_tokenizer_is_trained_on_is_known(settings, size):
    trained = ClipDataModule(**SMALL | {"clips": 8, "sample_rate": 8000} | settings).trained_clips
    assert (trained.height, trained.width, trained.num_frames) == size
    assert (trained.fps, trained.sample_rate) == (8.0, 8000)
