"""`videolm lm fit`: a killed run goes on to the same weights, and models are trained on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videolm.cli.config_files import packaged_config, read_config
from videolm.cli.init_from import copy_tokenizers, language_model_from
from videolm.cli.main import main
from videolm.cli.training_curves import read_curves
from videolm.data.codes.shards import ShardReader, ShardWriter
from videolm.data.media.clip import write_clip
from videolm.generation.pipeline import VideoLM
from videolm.lm.decoding.sampling import Sampling
from videolm.lm.training.lightning_module import LanguageModelTraining
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.layout import Layout
from videolm.tasks.recommended_sampling import RecommendedSampling
from videolm.tasks.task import film_task_names, load_task

SIZES = """{dim: 16, layers: 2, heads: 2, kv_heads: 1, hidden: 32, rotary_dims: [4, 2, 2]}"""
SMALL = ["--model.model", SIZES, "--data.batch_size", "4", "--data.validation_share", "0.2"]


def fit(run: Path, out: Path, *more: str) -> int:
    return main(command(run, out, *more))


def command(run: Path, out: Path, *more: str) -> list[str]:
    folders = ["--data.shards", str(run / "shards"), "--data.model", str(run / "model"), "--out", str(out)]
    return ["lm", "fit", "--config", "debug", "--trainer.callbacks", "null", *folders, *SMALL, *more]


def test_a_fit_ended_by_sigkill_goes_on_to_the_same_weights(
    coded_run: Path, tmp_path: Path, run_until_killed, same_weights
) -> None:
    """In the middle of an epoch, with accumulated batches and the average of the weights, bit for bit."""
    more = ["--trainer.max_steps", "5", "--trainer.val_check_interval", "10", "--checkpoint-every", "2"]
    more += ["--trainer.accumulate_grad_batches", "2", "--model.ema_decay", "0.9"]
    assert fit(coded_run, tmp_path / "whole", *more) == 0
    run_until_killed(command(coded_run, tmp_path / "killed", *more), LanguageModelTraining, step=3)
    assert fit(coded_run, tmp_path / "killed", *more) == 0
    assert same_weights(*(tmp_path / run / "training/lm" for run in ("whole", "killed")))


def test_a_fit_says_whether_captions_help_and_what_follows(coded_run, tmp_path, capsys) -> None:
    """And shows a picture at the first validation."""
    more = ["--trainer.max_steps", "4", "--trainer.val_check_interval", "2"]
    more += ["--data.tasks", "{text_to_video: 1}"]
    sample = "videolm.tasks.training_data.sample_callback.SampleCallback"
    more += ["--trainer.callbacks", f"[{{class_path: {sample}, init_args: {{every: 100}}}}]"]
    assert fit(coded_run, tmp_path, *more) == 0
    pictures = {each.name for each in (tmp_path / "training/lm/samples").iterdir()}
    assert pictures == {"step-000002.png", "round-trip.png"}
    lines = capsys.readouterr().out.splitlines()
    assert sum(" sequences of " in line and " to learn from, " in line for line in lines) == 1
    assert sum(line.startswith("lm: step 2: captions ") for line in lines) == 1
    assert sum(line.endswith("; pictures in " + str(tmp_path / "training/lm/samples")) for line in lines) == 1
    assert sum(line.startswith("lm: loss of held-out clips: ") for line in lines) == 1
    (follows,) = (line for line in lines if line.startswith("next: "))
    assert follows.startswith(f"next: videolm generate --model {tmp_path}/model --task text_to_video --text ")
    logged = read_curves(tmp_path / "training/lm/metrics.csv")
    assert len(logged["validation/caption_gain"]) == len(logged["validation/loss"]) == 2


@pytest.mark.parametrize("changed", ["captions", "codes"])
def test_a_checkpoint_whose_captions_have_changed_is_refused_by_name(coded_run, tmp_path, capsys, changed):
    """Other texts or clips under the old embeddings: nothing would say so. Named, they are gone on with."""
    run, out = tmp_path / "coded", tmp_path / "run"
    shutil.copytree(coded_run, run)
    few = ["--trainer.max_steps", "1", "--data.tasks", "{text_to_video: 1}"]
    assert fit(run, out, *few) == 0
    reader, clips = ShardReader(run / "shards"), []
    for number in range(len(reader)):
        clip = reader[number]
        captions = tuple(f"now {each} quite otherwise" for each in clip.captions)
        codes = {name: (value + 1) % 16 for name, value in clip.codes.items()}
        clips.append(replace(clip, **({"captions": captions} if changed == "captions" else {"codes": codes})))
    writer = ShardWriter(run / "shards", reader.clips, {"source": "random"})
    writer.write(0, clips)
    writer.finish()
    capsys.readouterr()
    assert fit(run, out, "--trainer.max_steps", "2", *few[2:]) == 2
    said = capsys.readouterr().err
    assert "holds a checkpoint made with" in said and "clips " in said
    assert "text_tokenizer" not in said  # the run's own is never made anew
    assert "--force-settings clips" in said
    forced = ("--force-settings", "clips", "clips_to_validate")
    assert fit(run, out, "--trainer.max_steps", "2", *few[2:], *forced) == 0
    assert "going on with clips " in capsys.readouterr().out


@pytest.fixture(scope="module")
def base(coded_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on silent tasks without text."""
    out = tmp_path_factory.mktemp("base")
    copy_tokenizers(coded_run / "model", out / "model")
    assert fit(coded_run, out, "--data.tasks", "{unconditional: 1}", "--data.model", str(out / "model")) == 0
    return out / "model"


def fine_tune(run: Path, base: Path, out: Path, *more: str) -> int:
    arguments = ["lm", "fit", "--init-from", str(base), "--config", "debug", "--trainer.callbacks", "null"]
    arguments += ["--data.shards", str(run / "shards"), "--data.batch_size", "4"]
    return main([*arguments, "--data.validation_share", "0.2", "--out", str(out), *more])


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "lm" / "model.safetensors")


def test_a_model_is_trained_on_with_the_blocks_it_lacks_and_a_source(coded_run, base, tmp_path) -> None:
    """The base has no text; sizes, tokenizers and the ids of its blocks are the base's."""
    more = ("--data.source_name", "fine", "--trainer.max_steps", "1", "--model.adam_learning_rate", "0.01")
    assert fine_tune(coded_run, base, tmp_path, "--data.tasks", "{text_to_video: 1}", *more) == 0
    model = VideoLM.from_pretrained(tmp_path / "model")
    stored = Vocabulary.load(base / "vocabulary.json")
    assert model.vocabulary.continues(stored) and model.vocabulary.blocks[-1].name == "text"
    layout = Layout.of(model.config.task("text_to_video"), model.vocabulary, model.config.lengths)
    sequence = layout.blank({})
    assert sequence.ids[2] == model.vocabulary.special("fine") >= 128
    before, after = weights(base), weights(tmp_path / "model")
    assert before.keys() < after.keys()
    # Seen by the base alone, so where it was: the training started from its weights.
    silent = "tokens.tables.audio_0.digits.0.weight"
    assert torch.equal(before[silent], after[silent])


@pytest.mark.parametrize("config", [["--config", "debug"], ["--config=debug"]])
def test_the_sizes_of_the_base_come_after_every_config(config, model_folder) -> None:
    given = ["--init_from", str(model_folder), *config, "--data.batch_size", "4"]
    arguments = language_model_from(given)
    assert arguments[: len(config)] == config and arguments[-2:] == ["--data.batch_size", "4"]
    assert "--model.model" in arguments and "--init_from" not in arguments


def test_low_rank_changes_are_merged_into_the_exported_matrices(coded_run, base, tmp_path) -> None:
    more = ("--data.tasks", "{unconditional: 1}", "--model.lora_rank", "2", "--model.ema_decay", "0.5")
    assert fine_tune(coded_run, base, tmp_path, *more) == 0
    before, after = weights(base), weights(tmp_path / "model")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(".project_" in name for name in changed)
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name], atol=1e-6) <= 2


def test_the_recommended_sampling_is_exported_and_a_model_trained_on_keeps_what_it_still_has(
    coded_run, base, tmp_path, capsys
) -> None:
    shutil.copytree(base, tmp_path / "base")
    before = RecommendedSampling({"unconditional": Sampling(0.5, top_p=0.9)})
    before.save(tmp_path / "base")
    more = ("--data.tasks", "{unconditional: 1, text_to_video: 1}", "--trainer.max_steps", "1")
    said = "{text_to_video: {guidance_scale: 2}, unconditional: {temperature: 0.6}}"
    more = (*more, "--data.recommended_sampling", said)
    assert fine_tune(coded_run, tmp_path / "base", tmp_path / "out", *more) == 0
    model = tmp_path / "out" / "model"
    wanted = {"unconditional": Sampling(0.6, top_p=0.9), "text_to_video": Sampling(guidance_scale=2.0)}
    assert VideoLM.from_pretrained(model).recommended.tasks == wanted
    assert main(["sampling", str(model), "--task", "text_to_video", "--temperature", "0.7"]) == 0
    assert fine_tune(coded_run, tmp_path / "base", tmp_path / "out", *more) == 0  # keeps what was set since
    wanted["text_to_video"] = Sampling(0.7, guidance_scale=2.0)
    assert RecommendedSampling.load(model).tasks == wanted
    silent = ("--data.tasks", "{audio_to_video: 1}", "--trainer.max_steps", "1")
    assert fine_tune(coded_run, model, tmp_path / "silent", *silent) == 0
    assert not (tmp_path / "silent" / "model" / "sampling.json").exists()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{text_to_video: {temperature: 0.5}}", "data.recommended_sampling names task 'text_to_video'"),
        ("{unconditional: {guidance_scale: 2}}", "unconditional takes none; leave out guidance_scale"),
    ],
)
def test_a_sampling_that_cannot_be_recommended_is_refused_before_the_fit(
    coded_run, base, tmp_path, capsys, said, message
) -> None:
    more = ("--data.tasks", "{unconditional: 1}", "--data.recommended_sampling", said)
    assert fine_tune(coded_run, base, tmp_path, *more) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not (tmp_path / "training" / "lm" / "last.ckpt").exists()


def test_another_vocabulary_or_folder_is_refused_in_one_line(coded_run, base, tmp_path, capsys) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    Vocabulary.of_sizes(visual=(4, 16), audio=(16, 16)).save(other / "vocabulary.json")
    (other / "checksums.json").unlink()
    more = ("--data.tasks", "{unconditional: 1}")
    assert fine_tune(coded_run, other, tmp_path / "out", *more) == 2
    assert "only blocks at the end may be new" in capsys.readouterr().err
    assert fine_tune(coded_run, tmp_path / "nowhere", tmp_path / "out", *more) == 2
    assert "no model folder" in capsys.readouterr().err


def test_the_recipe_for_files_trains_every_task_that_they_allow(corpus, model_folder, tmp_path) -> None:
    """Flow of files takes OpenCV, which need not be there; all else is in the files."""
    recipe = read_config(packaged_config("clips-tasks", "lm"))["data"]["tasks"]
    assert recipe.keys() == set(film_task_names())
    tasks = {name: 1.0 for name in recipe if "motion" not in load_task(name).variants}
    clips = tmp_path / "clips"
    clips.mkdir()
    captions = [{"path": f"{number}.mp4", "caption": corpus[number].caption} for number in range(4)]
    for number, entry in enumerate(captions):
        write_clip(corpus[number], clips / entry["path"])
    (clips / "captions.jsonl").write_text("\n".join(map(json.dumps, captions)))
    copy_tokenizers(model_folder, tmp_path / "model")
    encode = ["encode", str(clips), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "shards")]
    encode += ["--height", "32", "--width", "32", "--num-workers", "0", "--tasks", ",".join(tasks)]
    assert main(encode) == 0
    command = ["lm", "fit", "--config", "clips-tasks", "--out", str(tmp_path), "--trainer.callbacks", "null"]
    command += ["--data.shards", str(tmp_path / "shards"), "--data.tasks", json.dumps(tasks), *SMALL]
    assert main([*command, "--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]) == 0
    logged = read_curves(tmp_path / "training" / "lm" / "metrics.csv")
    assert {f"validation/task/{name}" for name in tasks} <= logged.keys()
    assert set(VideoLM.from_pretrained(tmp_path / "model").config.tasks) == tasks.keys()


@pytest.mark.long
def test_a_sharded_fit_makes_its_model_in_parts_and_ends_as_a_plain_one(
    coded_run, tmp_path, start_forked, monkeypatch
) -> None:
    more = ("--data.tasks", "{unconditional: 1}", "--model.share_bits", "false")
    assert fit(coded_run, tmp_path / "plain", *more) == 0
    real = LanguageModelTraining._materialise

    def noted(self, device):
        (tmp_path / "in-parts").touch()
        real(self, device)

    monkeypatch.setattr(LanguageModelTraining, "_materialise", noted)
    options = (*more, "--trainer.strategy", "fsdp2", "--trainer.accelerator", "cpu")
    process = start_forked(lambda: fit(coded_run, tmp_path / "sharded", *options))
    process.join()
    assert (tmp_path / "in-parts").exists()
    plain, sharded = weights(tmp_path / "plain/model"), weights(tmp_path / "sharded/model")
    assert plain.keys() == sharded.keys()
    for name, value in plain.items():
        torch.testing.assert_close(sharded[name], value, rtol=0, atol=1e-5)
