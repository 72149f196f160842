"""Models that are written in fewer bits, and models that come from and go to a hub."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN, Repository
from safetensors import safe_open

from videolm.data.runtime.files import read_json
from videolm.generation.model_files import push_model
from videolm.generation.pipeline import VideoLM
from videolm.lm.model.transformer import PrefixLM
from videolm.tasks.model_card import ModelCard
from videolm.tasks.model_config import model_fingerprint
from videolm.tokenizers.audio.protocol import load_audio_tokenizer
from videolm.tokenizers.text.frozen_encoder import load_text_tokenizer
from videolm.tokenizers.video.protocol import load_video_tokenizer

PARTS = ("lm", "video_tokenizer", "audio_tokenizer")
TEXT = "a red square moves right"


@pytest.fixture(scope="module")
def half(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "model"
    model.save_pretrained(folder, weights="bfloat16")
    return folder


def formats(weights: Path) -> set[str]:
    with safe_open(weights, "pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return {kind for kind in kinds if kind.startswith(("F", "BF"))}


def states(model: VideoLM) -> list[dict[str, torch.Tensor]]:
    modules = (model.lm, model.video_tokenizer, model.audio_tokenizer)
    return [module.state_dict() for module in modules]  # pyright: ignore


def test_weights_are_stored_in_few_bits_and_computed_in_float32(model, half):
    for part in PARTS:
        assert formats(half / part / "model.safetensors") == {"BF16"}
    loaded = VideoLM.from_pretrained(half, "cpu", verify=True)
    for state, original in zip(states(loaded), states(model), strict=True):
        for name, value in state.items():
            if value.is_floating_point():
                assert value.dtype == torch.float32
                assert torch.equal(value, original[name].bfloat16().float())


def test_a_rounded_tokenizer_has_a_fingerprint_of_its_own_which_stays(model, half, tmp_path):
    loaded = VideoLM.from_pretrained(half, "cpu")
    stored = read_json(half / "config.json")["clips"]
    for kind in ("video_tokenizer", "audio_tokenizer"):
        found = getattr(loaded, kind).fingerprint
        assert found == stored[kind] == getattr(loaded.config.clips, kind)
        assert found != getattr(model, kind).fingerprint
    assert loaded.text_tokenizer.fingerprint == model.text_tokenizer.fingerprint
    assert loaded.fingerprint == model_fingerprint(half) != model.fingerprint
    again = tmp_path / "again"
    loaded.save_pretrained(again)  # in float32: the same values, so the same tokenizers
    assert formats(again / "lm" / "model.safetensors") == {"F32"}
    assert asdict(VideoLM.from_pretrained(again, "cpu").config) == asdict(loaded.config)


def test_the_rounded_model_generates_what_its_values_in_float32_generate(half, tmp_path):
    loaded = VideoLM.from_pretrained(half, "cpu")
    loaded.save_pretrained(tmp_path / "full")
    clips = [
        VideoLM.from_pretrained(folder, "cpu").generate("text_to_video", text=TEXT, seed=3)
        for folder in (half, tmp_path / "full")
    ]
    assert torch.equal(clips[0].frames, clips[1].frames)


def test_a_weight_beyond_float16_is_refused_and_the_former_part_stays(make_model, tmp_path):
    model = make_model(0)
    model.save_pretrained(tmp_path / "model")
    before = (tmp_path / "model/lm/model.safetensors").read_bytes()
    with torch.no_grad():
        next(model.lm.parameters()).flatten()[0] = 1e6
    with pytest.raises(ValueError, match=r"beyond the range of torch.float16; bfloat16"):
        model.save_pretrained(tmp_path / "model", weights="float16")
    assert (tmp_path / "model/lm/model.safetensors").read_bytes() == before


def test_a_model_goes_to_the_hub_and_comes_back_whole_and_in_parts(model, model_folder, hub, clip):
    card = ModelCard(license="cc-by-4.0", data="The embedded corpus.")
    address = model.push_to_hub("me/mine", token=TOKEN, private=True, card=card)
    assert address == f"{hub.endpoint}/me/mine"
    files = hub.repositories["me/mine"].files("main")
    assert {"config.json", "vocabulary.json", "card.json", "lm/model.safetensors"} <= files.keys()
    assert 'VideoLM.from_pretrained("me/mine")' in files["README.md"].decode()
    loaded = VideoLM.from_pretrained("me/mine", "cpu", token=TOKEN)
    assert loaded.fingerprint == model_fingerprint(model_folder)
    made = [each.generate("text_to_video", text=TEXT, seed=1).frames for each in (loaded, model)]
    assert torch.equal(*made)
    assert load_video_tokenizer("me/mine").fingerprint == model.video_tokenizer.fingerprint
    assert load_audio_tokenizer("me/mine").fingerprint == model.audio_tokenizer.fingerprint
    assert load_text_tokenizer("me/mine").fingerprint == model.text_tokenizer.fingerprint
    assert PrefixLM.from_pretrained("me/mine").fingerprint == model.lm.fingerprint


def test_damage_on_the_hub_is_found_when_the_model_is_loaded(model_folder, hub):
    paths = [path for path in model_folder.rglob("*") if path.is_file()]
    files = {path.relative_to(model_folder).as_posix(): path.read_bytes() for path in paths}
    damaged = bytearray(files["lm/model.safetensors"])
    damaged[-1] ^= 1
    hub.repositories["user/damaged"] = Repository()
    hub.repositories["user/damaged"].put(files | {"lm/model.safetensors": bytes(damaged)})
    with pytest.raises(ValueError, match="is damaged or was changed"):
        VideoLM.from_pretrained("user/damaged", "cpu")


def test_only_the_files_of_a_model_are_pushed_and_no_link_out_of_it(model_folder, hub, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    for name in ("notes.txt", "run.py", "lm/optimizer.pt", ".hidden.json", "work/private.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    push_model(folder, "me/mine", token=TOKEN)
    files = hub.repositories["me/mine"].files("main")
    assert not [name for name in files if name.endswith((".txt", ".py", ".pt")) or "hidden" in name]
    assert not [name for name in files if name.startswith("work/")]
    (tmp_path / "private.json").write_text("{}")
    (folder / "lm" / "extra.json").symlink_to(tmp_path / "private.json")
    with pytest.raises(ValueError, match=r"extra.json is a link out of the model folder"):
        push_model(folder, "me/mine", token=TOKEN)
