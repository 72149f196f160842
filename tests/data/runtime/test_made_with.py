"""Results are gone on with only where they were made with the same settings."""

from pathlib import Path

import pytest

from videolm.data.runtime.made_with import MadeWith, differences

SETTINGS = {"seed": 0, "size": (32, 32), "model": Path("runs/model")}


def test_the_first_claim_writes_the_record_and_the_same_settings_go_on(tmp_path: Path) -> None:
    record = MadeWith(tmp_path / "settings.json", SETTINGS)
    assert not record.is_same
    record.claim("scores")
    assert record.is_same
    record.claim("scores")


def test_other_settings_are_refused_by_name_and_leave_the_record(tmp_path: Path) -> None:
    MadeWith(tmp_path / "settings.json", SETTINGS).claim("scores")
    other = MadeWith(tmp_path / "settings.json", SETTINGS | {"seed": 1})
    with pytest.raises(ValueError, match="holds scores made with seed 0, now 1: choose another place"):
        other.claim("scores")
    assert MadeWith(tmp_path / "settings.json", SETTINGS).is_same and not other.is_same


def test_a_setting_that_one_side_lacks_is_a_difference() -> None:
    assert differences({"a": 1}, {"a": 1, "b": 2}) == ["b None, now 2"]
    assert differences({"a": 1, "b": 2}, {"a": 1}) == ["b 2, now None"]
    assert differences({"a": [1, 2]}, {"a": (1, 2)}) == []


def test_of_a_group_of_settings_only_the_differing_ones_are_named() -> None:
    found = {"sampling": {"top_k": None, "temperature": 1.0}}
    assert differences(found, {"sampling": {"top_k": 8, "temperature": 1}}) == ["sampling.top_k None, now 8"]
    assert differences({"where": {}}, {"where": {"group": "cats"}}) == ["where.group None, now cats"]


@pytest.mark.parametrize("content", ["[1]", "{", "3"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"settings\.json"):
        MadeWith(path, SETTINGS).claim("scores")
