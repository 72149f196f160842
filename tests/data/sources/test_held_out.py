"""One rule says for all stages which clips are held out."""

from pathlib import Path

import pytest

from videolm.data.sources.entry import Entry
from videolm.data.sources.held_out import SplitKey, by_place, deciding, held_out, place_of, split_key

PATHS = [f"film{number}.mp4" for number in range(400)]


def test_sides_do_not_change_with_the_place_of_the_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    keys = []
    for folder in (tmp_path / "a", tmp_path / "elsewhere" / "b"):
        (folder / "captions.jsonl").touch()
        for source in (folder, folder / "captions.jsonl"):
            keys.append([split_key(Entry(folder / "cats" / path), str(source)) for path in PATHS])
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert keys[0][7] == SplitKey("", "cats/film7.mp4")


def test_a_source_may_be_named_relative_to_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    monkeypatch.chdir(tmp_path)
    absolute = split_key(Entry(tmp_path / "clips" / "a.mp4"), str(tmp_path / "clips"))
    assert split_key(Entry(Path("clips/a.mp4")), "clips") == absolute == SplitKey("", "a.mp4")


@pytest.mark.parametrize("source", ["tars/x-{000..009}.tar", "tars/x-003.tar", "tars"])
def test_a_sample_of_a_tar_has_the_names_of_both(tmp_path, source):
    (tmp_path / "tars").mkdir()
    entry = Entry(tmp_path / "tars" / "x-003.tar" / "deep" / "0001.mp4", load=bytes)
    assert split_key(entry, str(tmp_path / source)).path == "x-003.tar/deep/0001.mp4"


def test_parts_of_a_film_and_clips_of_a_group_are_on_one_side():
    starts = (None, 1.5, 80.0)
    parts = [split_key(Entry(Path("/d/film.mp4"), start=start), "/d/list.jsonl") for start in starts]
    assert len(set(parts)) == 1
    of_group = [SplitKey("g01", path) for path in PATHS] + [SplitKey("g02", "x"), SplitKey("", "y")]
    assert deciding(of_group)[:2] == ["group g01", "group g01"] and deciding(of_group)[-1] == "y"


def test_a_group_of_all_clips_divides_nothing():
    """As after `--where group=cats`."""
    keys = deciding([SplitKey("cats", path) for path in PATHS])
    assert keys == PATHS


def test_the_share_is_met_and_classes_are_mixed():
    kinds = ("archery", "bowling", "cycling")
    keys = [f"{kind}/{number:04d}.mp4" for kind in kinds for number in range(1000)]
    outside = held_out(keys, 0.05)
    for kind in kinds:
        assert 25 < sum(key.startswith(kind) for key in outside) < 75


def test_other_files_do_not_change_a_files_side():
    whole = held_out(PATHS, 0.05)
    assert 8 < len(whole) < 35
    assert held_out(PATHS[::2], 0.05) == whole & set(PATHS[::2])
    # What a stage with a smaller share or a bound holds out, one without holds out too.
    assert held_out(PATHS, 0.02) < whole
    bounded = held_out(PATHS, 0.05, at_most=5)
    assert len(bounded) == 5 and bounded == set(sorted(whole, key=place_of)[:5])


def test_the_number_is_of_clips_and_a_film_is_not_divided():
    keys = [path for path in PATHS for _ in range(10)]
    bounded = held_out(keys, 0.05, at_most=25)
    assert len(bounded) == 3


@pytest.mark.parametrize("number", [2, 3, 10])
def test_of_few_files_one_is_held_out_and_never_all(number):
    outside = held_out(PATHS[:number], 0.01)
    assert outside == {min(PATHS[:number], key=place_of)}
    assert len(held_out(PATHS[:number], 0.999)) == number - 1


def test_one_file_cannot_be_divided():
    with pytest.raises(ValueError, match="clips are of 1 file or group; at least 2 are needed"):
        held_out(["a", "a"], 0.05)


def test_a_group_that_is_much_of_all_is_told_of():
    keys = ["group sprites"] * 500 + ["group speech"] * 400 + ["group signs"] * 10
    with pytest.warns(UserWarning, match="of 910 clips are held out, those of group"):
        held_out(keys, 0.05)


def test_the_order_of_places_is_the_same_for_any_order_of_files():
    order = [PATHS[index] for index in by_place(PATHS)]
    turned = PATHS[::-1]
    assert [turned[index] for index in by_place(turned)] == order != PATHS
    assert all(0 <= place_of(path) < 1 for path in PATHS)
