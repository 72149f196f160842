"""The packaged world model: it shows what happens in rooms that it has not seen."""

import pytest

from videolm.cli.main import main
from videolm.data.runtime.files import read_json

pytest.importorskip("minigrid")


def test_the_packaged_model_is_right_in_rooms_it_has_not_seen(tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "scores"
    record = ["record", "--env", "minigrid:MiniGrid-Empty-Random-6x6-v0", "--policy", "random"]
    assert main([*record, "--steps", "16", "--episodes", "3", "--seed", "2000000", "--out", str(clips)]) == 0
    command = ["evaluate", "--protocol", "world", "--model", "minigrid", "--data", str(clips), "--clips", "3"]
    assert main([*command, "--out", str(out)]) == 0
    report = read_json(out / "report.json")
    assert report["steps"]["8"]["agent"] == report["steps"]["1"]["agent"] == 1
    assert report["steps"]["8"]["psnr_db"] > 50 > report["steps"]["8"]["copied_db"]
    assert (out / "worlds.png").stat().st_size > 0
