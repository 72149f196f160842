"""The commands that list tasks, generate with them and describe models."""

from pathlib import Path
from typing import Annotated, Literal

from ..data.runtime.model_source import model_folder
from ..generation.run_request import Expansion, PromptOptions, Request, Results, Runtime, TaskOptions
from ..lm.decoding.sampling import Sampling
from .arguments import Options


def tasks(*, model: str | None = None, task_file: Path | None = None) -> None:
    """List the tasks: what each takes and generates.

    Args:
        model: as for `videolm generate`; lists the model's own tasks with the codes that each reads and
            generates.
        task_file: a file of your own that defines a task.
    """
    from .task_list import describe_tasks

    print(describe_tasks(None if model is None else model_folder(model), task_file))


def sampling(
    model: Path,
    *,
    task: str | None = None,
    sampling: Annotated[Sampling, Options(skip=("decoding", "window", "recommended"))],
    clear: bool = False,
) -> list[Path] | None:
    """Print how a model recommends to sample each task, or set it: with --task and options of sampling.

    Every command that generates and every score takes the recommendation where it is not told otherwise.
    What is set for a task changes nothing else of it, and no other task. `videolm sampling search` finds what
    suits a model of the embedded corpus.

    Args:
        model: model folder.
        task: one of the model's, to set.
        clear: forget first what is recommended for the task, or without --task for all.
    """
    from .recommending import recommend, table

    written = recommend(model, task, sampling, clear) if task or sampling.given or clear else None
    print(table(model))
    return written


def generate(
    *,
    model: str | None = None,
    out: Path,
    task: TaskOptions,
    prompt: PromptOptions,
    depth: str | None = None,
    prompts: Path | None = None,
    results: Results,
    expansion: Expansion,
    seed: int = 0,
    sampling: Sampling,
    runtime: Runtime,
) -> list[Path]:
    """Generate a clip with one of the model's tasks (`videolm tasks` lists what each takes).

    Options of sampling that are left out are as the model recommends (`videolm sampling MODEL`).

    Camera words are part of the text, as in the captions that the model learnt from: "… while the camera
    pans left" on the embedded corpus.

    Args:
        model: a model folder, the name of a packaged model, or user/name or user/name@revision on Hugging
            Face's hub; the packaged model if not given.
        out: file to write (.mp4 .webm .mkv .gif .png .wav); with --prompts a folder.
        depth: for stylization: folder of a depth model of transformers; if not given, or "none", depth is
            taken to be the same everywhere.
        prompts: file of prompts, one text a line, or .jsonl with text, negative, image, video, audio, mask,
            aspect, frames, seconds and name; writes 000.mp4, 001.mp4, … into --out, and goes on where it was
            stopped.
        seed: the same seed gives the same clip.
    """
    prompt.check_files()
    name = task.name_for(prompt)
    request = Request(model_folder(model), name, prompt, depth, sampling, seed, results, expansion, runtime)
    request.check_files()
    from ..generation.generate_files import generate_files

    return generate_files(request, out, prompts)


def upscale(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    text: str | None = None,
    factor: int = 2,
    seed: int = 0,
    device: str = "auto",
) -> list[Path]:
    """Enlarge a film of any length by the model's stages of super-resolution; its sound is kept.

    The film must have the height and width that a stage takes (`videolm info` lists what they make). Only the
    stages and their tokenizers are loaded.

    Args:
        source: a video or an image.
        target: file to write; the suffix names the format.
        model: as for `videolm generate`; it needs no language model.
        text: what is to be seen, for a stage that reads text.
        factor: of height and width, 2 or 4, by as many stages.
        seed: the same seed gives the same film.
        device: auto is a GPU if there is one; else cpu, cuda, cuda:1 and so on.
    """
    from ..generation.upscale_files import upscale_file

    folder = model_folder(model)
    return [upscale_file(source, target, folder, text=text, factor=factor, seed=seed, device=device)]


def info(
    model: str,
    *,
    devices: int | None = None,
    strategy: str | None = None,
    precision: str | None = None,
    batch_size: int | Literal["auto"] | None = None,
    device_memory: float | None = None,
    activation_checkpointing: int | None = None,
    size: str | None = None,
    verify: bool = False,
) -> None:
    """Print what a model folder holds, or what training by a config of the language model will cost.

    Of a config: parameters, operations and the memory of each device. The options say what to assume in
    place of what it says.

    Args:
        model: as for `videolm generate`, or the folder of a part of a model; or a config of `videolm lm fit`,
            by its path or name, such as 1b.
        devices: processes that share the training, all machines together.
        strategy: ddp, or fsdp2, which divides weights and optimizer states among the devices.
        precision: such as 32-true or bf16-mixed.
        batch_size: rows of each process; auto: the most that fit nine tenths of a device, by the estimate.
        device_memory: GiB of a device, for auto; of the GPU here if not given (74.5 for a card of 80 GB).
        activation_checkpointing: recompute the activations of all layers (1), every second one (2), none (0).
        size: of the clips, such as 17x128x128, where they are not encoded yet.
        verify: compare every byte of a model folder with its checksums; else those are compared when it is
            loaded, and of a file above 1 GB in 256 places.
    """
    from .info import describe

    assumed = {
        "devices": devices,
        "strategy": strategy,
        "precision": precision,
        "batch_size": batch_size,
        "device_memory": device_memory,
        "activation_checkpointing": activation_checkpointing,
        "size": size,
    }
    print(describe(model, {name: value for name, value in assumed.items() if value is not None}, verify))
