"""Every reader on damaged files: no crash, no hang, no code, nothing touched elsewhere; memory stays bounded.

    VIDEOLM_FUZZ_CASES=1000 pytest tests/project/test_fuzzing.py      20,000 cases in place of 2,000

They run in a process of their own (tests/support/fuzzing.py), which a crash of a native library would end.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CASES = 20 * int(os.environ.get("VIDEOLM_FUZZ_CASES", "100"))
PROGRAM = Path(__file__).parents[1] / "support" / "fuzzing.py"
SECONDS, BYTES = 10, 1.5e9
READERS = {
    "actions", "chains", "checkpoints", "codes", "configs", "episodes", "lists", "media", "model's settings",
    "model's weights", "pieces", "prompts", "rows", "rows of prompts", "scripts", "shards",
    "sidecars", "sizes", "tars", "weights",
}  # fmt: skip


def fuzz(cases: int, folder: Path, *around: str) -> dict[str, Any]:
    command = [*around, sys.executable, str(PROGRAM), str(cases), str(folder)]
    path = os.pathsep.join([str(PROGRAM.parent), *filter(None, sys.path)])
    # All that libraries keep stays in the folder, too.
    names = ("HOME", "XDG_CACHE_HOME", "VIDEOLM_CACHE", "HF_HOME", "MPLCONFIGDIR", "TMPDIR")
    homes = dict.fromkeys(names, str(folder))
    environment = os.environ | homes | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    case = folder / "case"
    at = case.read_text() if case.exists() else "the beginning"
    assert result.returncode == 0, f"ended with {result.returncode} at {at}: {result.stderr[-2000:]}"
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.timeout(60 + CASES)
def test_every_reader_survives_damaged_files(tmp_path):
    report = fuzz(CASES, tmp_path)
    assert report["readers"].keys() == READERS
    assert sum(each["cases"] for each in report["readers"].values()) >= 0.99 * CASES
    assert report["errors"] == []
    assert report["touched"] == [] and report["exploded"] == []
    assert max(each["slowest"] for each in report["readers"].values()) < SECONDS
    assert report["peak"] < BYTES


@pytest.mark.long
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_system_sees_no_other_process_or_file(tmp_path):
    """As the kernel sees it: native libraries, whose calls no audit hook knows, included."""
    folder, trace = tmp_path / "folder", tmp_path / "trace"
    folder.mkdir()
    calls = "%process,%network,open,openat,creat,rename,renameat2,unlink,unlinkat,mkdir,mkdirat,link,symlink"
    calls = f"trace={calls}"
    fuzz(400, folder, "strace", "-f", "-qq", "-e", calls, "-o", str(trace))
    lines = trace.read_text(errors="replace").splitlines()
    done = [line for line in lines if " = -1 " not in line and "unfinished" not in line]
    assert len([line for line in done if "execve(" in line]) == 1  # the program itself
    assert not [line for line in done if re.search(r"\bv?fork\(|\b(connect|sendto)\(", line)]
    writing = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|\b(creat|rename\w*|unlink\w*|mkdir\w*|link|symlink)\(")
    for line in filter(writing.search, done):
        for path in re.findall(r'"([^"]*)"', line):
            is_ours = os.path.realpath(path).startswith(str(folder)) or not path.startswith("/")
            assert is_ours or path.startswith(("/dev/null", "/dev/shm/", "/proc/self/")), line
