"""What `import videolm` offers."""

import subprocess
import sys

import videolm


def test_dir_lists_the_public_names_and_no_others():
    assert {"Clip", "Prompt", "Sampling", "VideoLM", "load_task", "read_clip"} <= set(dir(videolm))
    assert dir(videolm) == sorted([*videolm.__all__, "__version__"])


def test_every_public_name_is_there():
    for name in videolm.__all__:
        assert getattr(videolm, name).__name__ == name


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, videolm; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
