"""Models of a hub: downloaded, taken from its cache, uploaded. The hub is one on loopback."""

import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, HubServer, Repository
from huggingface_hub import constants

from videolm.data.runtime.hub import download, split_name, upload

MODEL = {
    "config.json": b"{}",
    "vocabulary.json": b"[]",
    "README.md": b"# a page",
    "lm/model.safetensors": b"1234",
    "video_tokenizer/config.json": b'{"kind": "video_tokenizer"}',
    "text_tokenizer/spiece.model": b"pieces",
}
UNSAFE = {"lm/pytorch_model.bin": b"pickle", "modeling.py": b"code", "last.ckpt": b"pickle", "a.pt": b""}


@pytest.fixture
def served(hub: HubServer) -> Repository:
    hub.repositories["user/name"] = Repository()
    hub.repositories["user/name"].put(MODEL | UNSAFE)
    return hub.repositories["user/name"]


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user/name", ("user/name", None)),
        ("user/na.me-2@refs/pr/1", ("user/na.me-2", "refs/pr/1")),
        *((name, None) for name in ("name", "a/b/c", "./a/b", "/a/b", "a/..b", "a--b/c", "a/b@", "a/b c")),
    ],
)
def test_names_of_the_hub(name, expected):
    assert split_name(name) == expected


def test_only_safe_kinds_of_files_come_down_and_the_size_is_said_before(served, capsys):
    folder = download("user/name")
    assert files(folder) == MODEL
    commit = served.branches["main"]
    assert folder.name == commit
    assert f"downloading user/name@{commit}: {len(MODEL)} files, 0.0 MB" in capsys.readouterr().err


def test_what_is_there_is_not_downloaded_again_and_a_commit_asks_nobody(served, hub, capsys):
    folder = download("user/name")
    capsys.readouterr(), hub.requests.clear()
    assert download("user/name") == folder
    assert "downloading" not in capsys.readouterr().err
    assert not [request for request in hub.requests if "/resolve/" in request]
    hub.requests.clear()
    assert download(f"user/name@{folder.name}") == folder
    assert not hub.requests


def test_a_part_comes_alone_and_the_rest_later(served):
    folder = download("user/name", "video_tokenizer")
    beside = {"config.json", "vocabulary.json", "video_tokenizer/config.json"}
    assert files(folder).keys() == beside
    assert files(download(f"user/name@{folder.name}")) == MODEL


def test_a_revision_is_a_branch_or_a_commit(served):
    old = served.branches["main"]
    served.put(MODEL | {"README.md": b"new"}, "v2")
    assert files(download("user/name@v2"))["README.md"] == b"new"
    assert files(download("user/name", revision="v2"))["README.md"] == b"new"
    assert download("user/name", revision=old).name == old
    with pytest.raises(ValueError, match="names revision v2, and revision v3"):
        download("user/name@v2", revision="v3")


def test_each_refusal_is_one_line_with_what_to_do(served, hub):
    hub.repositories["user/private"] = Repository(needs_token=True)
    hub.repositories["user/private"].put(MODEL)
    hub.repositories["user/gated"] = Repository(is_gated=True)
    hub.repositories["user/other"] = Repository()
    hub.repositories["user/other"].put({"config.json": b"{}", "model.safetensors": b"1"})
    for name, options, kind, said in (
        ("user/none", {}, FileNotFoundError, "no model folder x, and Hugging Face's hub has no model user"),
        ("user/private", {}, FileNotFoundError, "or a private one (no token is given"),
        ("user/none", {"token": TOKEN}, FileNotFoundError, "a private one that the token does not open"),
        ("user/name@v9", {}, FileNotFoundError, "hub has no revision v9 of user/name"),
        ("user/name", {"token": "hf_bad"}, ValueError, "does not accept the token"),
        ("user/gated", {}, ValueError, "user/gated is gated: ask for access on http"),
        ("user/other", {}, ValueError, "no model of videolm: it has no vocabulary.json"),
    ):
        with pytest.raises(kind) as caught:
            download(name, tried="no model folder x", **options)
        assert said in str(caught.value) and "\n" not in str(caught.value), name
    assert files(download("user/private", token=TOKEN)) == MODEL


def test_without_network_the_cache_serves_and_says_so_or_one_line_says_what_is_missing(
    served, monkeypatch, capsys
):
    folder = download("user/name")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert download("user/name") == folder
    said = capsys.readouterr().err
    assert f"Connection refused; taking user/name@{folder.name} from the cache" in said
    with pytest.raises(FileNotFoundError, match=r"user/other is not in the hub's cache .*, and the hub"):
        download("user/other")


def test_a_hub_that_is_down_is_not_taken_for_a_missing_model(served, hub, capsys):
    folder = download("user/name")
    hub.status = 503
    assert download("user/name") == folder
    assert "the hub answers 503; taking" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="the hub answers 503"):
        download("user/other")


def test_local_files_only_asks_nobody(served, hub):
    with pytest.raises(FileNotFoundError, match=r"not in the hub's cache .* nothing is asked of the hub"):
        download("user/name", local_files_only=True)
    folder = download("user/name")
    hub.requests.clear()
    assert download("user/name", local_files_only=True) == folder
    assert not hub.requests


def test_a_cache_that_somebody_brought_serves_offline(tmp_path):
    """Laid out by hand as the hub's cache is, read by a process with HF_HUB_OFFLINE."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "cache" / "models--user--name"
    for number, (name, content) in enumerate(MODEL.items()):
        blob, link = home / "blobs" / str(number), home / "snapshots" / commit / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(blob)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    code = (
        "from videolm.data.runtime.hub import download\n"
        "print(download('user/name'))\n"
        "try:\n    download('user/other')\nexcept FileNotFoundError as error:\n    print(error)"
    )
    variables = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache"), "PATH": ""}
    paths = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=variables | paths, capture_output=True, text=True, check=True
    )
    folder, missing = result.stdout.splitlines()
    assert files(Path(folder)) == MODEL and Path(folder).name == commit
    assert missing.startswith("user/other is not in the hub's cache") and "HF_HUB_OFFLINE" in missing


def test_files_go_up_to_a_new_repository_and_replace_those_of_before(hub, tmp_path):
    for name in ("config.json", "lm/old.safetensors", "lm/new.safetensors", "own.py"):
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    names = ["config.json", "lm/old.safetensors"]
    first = upload(tmp_path / "model", names, "me/mine", private=True, token=TOKEN)
    assert first == f"{hub.endpoint}/me/mine"
    made = hub.repositories["me/mine"]
    assert made.is_private and made.files("main").keys() == {"config.json", "lm/old.safetensors"}
    names = ["config.json", "lm/new.safetensors"]
    upload(tmp_path / "model", names, "me/mine", ["lm/*"], token=TOKEN, commit_message="again")
    assert made.files("main") == {name: name.encode() for name in names}
    assert made.messages[-1] == "again"
    address = upload(tmp_path / "model", ["config.json"], "me/mine", token=TOKEN, revision="v2")
    assert address == f"{hub.endpoint}/me/mine/tree/v2" and "v2" in made.branches


def test_an_upload_that_is_refused_is_one_line(hub, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    for name, names, options, said in (
        ("me/mine", ["config.json"], {}, "does not accept the token"),
        ("me/mine", ["config.json"], {"token": "hf_bad"}, "does not accept the token"),
        ("me/mine", ["own.py"], {"token": TOKEN}, "own.py is not uploaded; expected files of"),
        ("mine", ["config.json"], {"token": TOKEN}, "'mine' is no repository of Hugging Face's hub"),
    ):
        with pytest.raises(ValueError) as caught:
            upload(tmp_path, names, name, **options)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not hub.repositories
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE"):
        upload(tmp_path, ["config.json"], "me/mine", token=TOKEN)
