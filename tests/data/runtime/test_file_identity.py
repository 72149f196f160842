import os

import pytest

from videolm.data.runtime.file_identity import FileIdentity, identify_file, is_same_file

LARGE = 17 * 10**6


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * (LARGE // 256))
    return path


def changed_at(path, position: int) -> None:
    """One byte, and the time of change as before."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(position)
        value = file.read(1)[0]
        file.seek(position)
        file.write(bytes([value ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_file_is_the_same_until_it_is_touched(tmp_path):
    path = tmp_path / "small.bin"
    path.write_bytes(b"one")
    known = identify_file(path)
    assert is_same_file(path, known) and known.whole
    assert FileIdentity.from_json(known.to_json()) == known
    os.utime(path, ns=(0, known.mtime_ns + 1))
    assert not is_same_file(path, known)
    path.unlink()
    assert not is_same_file(path, known)


@pytest.mark.parametrize("position", [0, 100, 2])
def test_any_byte_of_a_small_file_counts(tmp_path, position):
    path = tmp_path / "small.bin"
    path.write_bytes(bytes(200_000))
    known = identify_file(path)
    changed_at(path, position * 999)
    assert not is_same_file(path, known)


def test_of_a_large_file_its_ends_and_middle_count_unless_all_is_verified(large):
    known, verified = identify_file(large), identify_file(large, verify=True)
    assert (known.whole, verified.whole) == (False, True) and is_same_file(large, verified)
    for position in (5, large.stat().st_size // 2, large.stat().st_size - 5):
        changed_at(large, position)
        assert not is_same_file(large, known)
        changed_at(large, position)
        assert is_same_file(large, known)
    changed_at(large, 10**6)
    assert is_same_file(large, known)
    assert not is_same_file(large, verified) and not is_same_file(large, known, verify=True)


@pytest.mark.parametrize(
    "values", [None, [], [1, 2, "ab", True], [1.0, 2, "0" * 64, True], [-1, 2, "0" * 64, True]]
)
def test_what_is_no_identity_is_refused(values):
    with pytest.raises(ValueError, match="is no identity of a file"):
        FileIdentity.from_json(values)
