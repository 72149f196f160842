"""The commands of tasks: which there are, and generating with them."""

from pathlib import Path


def tasks(*, model: Path | None = None, task_file: Path | None = None) -> None:
    """List the tasks: what each takes and generates.

    Args:
        model: model folder; lists the model's own tasks with the codes that each reads and generates.
        task_file: a file of your own that defines a task.
    """
    from .task_list import describe_tasks

    print(describe_tasks(model, task_file))


def generate(
    *,
    model: Path,
    out: Path,
    task: str | None = None,
    task_file: Path | None = None,
    text: str | None = None,
    negative: str | None = None,
    image: Path | None = None,
    video: Path | None = None,
    audio: Path | None = None,
    mask: str | None = None,
    aspect: str | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    depth: str | None = None,
    prompts: Path | None = None,
    num_samples: int = 1,
    best_of: int = 1,
    judge: str = "describe",
    raw: bool = False,
    expand: str | None = None,
    expand_model: str | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance_scale: float = 1.0,
    guidance_schedule: str = "constant",
    repetition_penalty: float = 0.0,
    joint: int | None = None,
    decoding: str = "sequential",
    window: int = 16,
    quantize: str | None = None,
    preview: Path | None = None,
    device: str = "auto",
    dtype: str = "float32",
) -> list[Path]:
    """Generate a clip with one of the model's tasks (`videolm tasks` lists what each takes).

    Camera words are part of the text, as in the captions that the model learnt from: "… while the camera
    pans left" on the embedded corpus.

    Args:
        model: model folder.
        out: file to write (.mp4 .webm .gif .png .wav); with --prompts a folder.
        task: name of the task.
        task_file: in its place, a file of your own that defines it. It is code, and is run.
        text: what is to be seen.
        negative: what is not to be seen; needs a guidance scale above 1.
        image: first frame.
        video: video to go on from, to paint in or around, to restyle, or to make sound for.
        audio: sound to make a video for.
        mask: what to paint: an image or video that is white there and black elsewhere, or the name of a usual
            mask (box, moving box, centre, vertical, horizontal, moving strip).
        aspect: of the frames, width to height as 16:9, or their size as HEIGHTxWIDTH: of the sizes that the
            model was trained on (`videolm info`) the nearest; else the model's default. Outpainting shows the
            whole video in it and paints what is left.
        frames: of the clip; the model must have been trained on clips of so many.
        seconds: in place of frames; `videolm long-video` makes longer ones than the model was trained on.
        depth: for stylization: folder of a depth model of transformers, or "none" to do without.
        prompts: file of prompts, one text a line, or .jsonl with text, negative, image, video, audio, mask,
            aspect, frames, seconds and name; writes 000.mp4, 001.mp4, … into --out, and goes on where it was
            stopped.
        num_samples: clips of each prompt, with a sheet of all of them.
        best_of: make so many of each prompt and keep the best one.
        judge: of the best: describe (what fits the text, in words of the embedded corpus), the folder of a
            CLIP model (likewise), or known (of painting: what comes nearest to the known pixels; needs no
            text).
        expand: rewrite each text as a long caption, by an OpenAI-compatible server (http://localhost:8000/v1)
            or a chat model of transformers in a folder; printed, kept in NAME.json beside the clip, and used
            again while text and captioner are the same.
        expand_model: which of the server's models.
        raw: leave a painted video as it is decoded; else its known pixels are put back.
        seed: the same seed gives the same clip.
        temperature: below 1 likelier, above 1 more varied.
        top_k: sample from the k likeliest codes only.
        top_p: sample from the likeliest codes that together have this probability.
        guidance_scale: 1 is off; above, the text is followed more closely.
        guidance_schedule: constant, or linear or cosine: from 1 at the first code to the scale at the last.
        repetition_penalty: above 0 against clips that freeze, below 0 against flicker; in nats.
        joint: let temperature, top_k and top_p act on whole codes, of this many likeliest first digits
            (64, for example), instead of digit by digit.
        decoding: sequential; jacobi: the same clip in fewer passes, by guessing codes and checking them; or
            compiled: for GPUs, the same clip by passes that are recorded once and replayed.
        window: codes that jacobi guesses at a time.
        quantize: int8: weights of 8 bits, for faster generation with slightly different probabilities.
        preview: file to show the frames in while they are generated; it grows.
        device: auto is a GPU if there is one; else cpu, cuda, cuda:1 and so on.
        dtype: of the language model: float32, or bfloat16, in which a GPU is nearly twice as fast.
    """
    from ..generation.generate_files import Request, generate_files
    from ..tasks.clip_size import size_of

    request = Request(
        model=model,
        task=_named_task(task, task_file),
        given={
            "text": text,
            "negative": negative,
            "image": image,
            "video": video,
            "audio": audio,
            "mask": mask,
            "size": size_of(aspect, frames, seconds),
        },
        sampling={
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "guidance_scale": guidance_scale,
            "guidance_schedule": guidance_schedule,
            "repetition_penalty": repetition_penalty,
            "joint": joint,
            "decoding": decoding,
            "window": window,
        },
        seed=seed,
        num_samples=num_samples,
        best_of=best_of,
        judge=judge,
        depth=depth,
        composite=not raw,
        expand=expand,
        expand_model=expand_model,
        quantize=quantize,
        preview=preview,
        device=device,
        dtype=dtype,
    )
    return generate_files(request, out, prompts)


def _named_task(task: str | None, task_file: Path | None) -> str:
    if (task is None) == (task_file is None):
        raise ValueError("give the name of a task (--task) or a file of your own (--task-file)")
    return str(task_file) if task_file is not None else str(task)


def info(
    model: str,
    *,
    devices: int | None = None,
    strategy: str | None = None,
    precision: str | None = None,
    batch_size: int | None = None,
    activation_checkpointing: int | None = None,
    size: str | None = None,
) -> None:
    """Print what a model folder holds, or what training by a config of the language model will cost.

    Of a config: parameters, operations and the memory of each device. The options say what to assume in
    place of what it says.

    Args:
        model: model folder, or the folder of one of its parts; or a config of `videolm lm fit`, by its path
            or name, such as 1b.
        devices: processes that share the training, all machines together.
        strategy: ddp, or fsdp2, which divides weights and optimizer states among the devices.
        precision: such as 32-true or bf16-mixed.
        batch_size: rows of each process.
        activation_checkpointing: recompute the activations of all layers (1), every second one (2), none (0).
        size: of the clips, such as 17x128x128, where they are not encoded yet.
    """
    from .info import describe

    assumed = {
        "devices": devices,
        "strategy": strategy,
        "precision": precision,
        "batch_size": batch_size,
        "activation_checkpointing": activation_checkpointing,
        "size": size,
    }
    print(describe(model, {name: value for name, value in assumed.items() if value is not None}))
