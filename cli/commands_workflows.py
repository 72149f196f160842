"""The commands that run the model several times: videos longer than a clip, chains of tasks."""

from pathlib import Path


def long_video(
    *,
    model: Path,
    out: Path,
    text: str | None = None,
    script: Path | None = None,
    seconds: float | None = None,
    image: Path | None = None,
    video: Path | None = None,
    negative: str | None = None,
    given: int | None = None,
    silent: bool = False,
    aspect: str | None = None,
    seed: int = 0,
    best_of: int = 1,
    judge: str = "describe",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance_scale: float = 1.0,
    repetition_penalty: float = 0.0,
    decoding: str = "sequential",
    window: int = 16,
) -> list[Path]:
    """Make a video longer than a clip: each segment goes on from the last frames before it.

    Writes video.mp4, report.json (segments, seeds, how well they join) and, as they are made, the segments;
    run again, it goes on where it was stopped. With sound if the model makes any.

    Args:
        model: model folder.
        out: folder to fill.
        text: what is to be seen all the time.
        script: file of what is to be seen when: a line of text for each segment, or .jsonl with
            {"text": …, "seconds": …}. The last line holds until the end.
        seconds: of the whole video; with a script its own length if left out.
        image: first frame.
        video: video to go on from.
        negative: what is not to be seen; needs a guidance scale above 1.
        given: frames that each segment is shown (1, 5, 9, …): more join more steadily, fewer are faster;
            about half of a clip if left out.
        silent: make no sound.
        aspect: of the frames, width to height as 16:9, or their size as HEIGHTxWIDTH: of the sizes that the
            model was trained on the nearest; else the model's default.
        seed: of the first try of the first segment; the next has the next.
        best_of: make so many tries of each segment and go on from the one that fits its text best.
        judge: of the best: describe (the reader of the embedded corpus), or the folder of a CLIP model.
        temperature: below 1 likelier, above 1 more varied.
        top_k: sample from the k likeliest codes only.
        top_p: sample from the likeliest codes that together have this probability.
        guidance_scale: 1 is off; above, the text is followed more closely.
        repetition_penalty: above 0 against videos that freeze, below 0 against flicker; in nats.
        decoding: sequential, or jacobi: the same video in fewer passes, by guessing codes and checking them.
        window: codes that jacobi guesses at a time.
    """
    from ..generation.long_video.long_video import LongPrompt, write_long
    from ..generation.long_video.script import Line, read_script

    if text is not None and script is not None:
        raise ValueError("give either --text or --script")
    lines = read_script(script) if script is not None else [] if text is None else [Line(text)]
    prompt = LongPrompt(lines, seconds, image, video, negative, given, silent, aspect)
    sampling = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "guidance_scale": guidance_scale,
        "repetition_penalty": repetition_penalty,
        "decoding": decoding,
        "window": window,
    }
    return write_long(
        model, prompt, out, seed=seed, sampling=sampling, best_of=best_of, judge=judge
    )


def chain(chain: Path, *, model: Path, out: Path) -> list[Path]:
    """Run several tasks, each led by the results of earlier ones, such as picture, video, sound.

    The chain is a YAML file:

    seed: 0
    sampling: {temperature: 0.9}
    steps:
    - {name: picture, task: text_to_image, text: a red square}
    - {name: film, task: image_to_video, image: picture, text: a red square spins, seed: 3}
    - {name: sound, task: video_to_audio, video: film}

    A step takes image, video and audio (an earlier step or a file; if left out, the step before), text,
    negative, mask, aspect (in quotes: "16:9"), frames, seconds, depth, raw, seed and sampling, as `videolm
    generate` does; seed, sampling and aspect may also be given for all steps. All results are kept; run
    again, only those are made that are missing or asked for in another way.

    Args:
        chain: the file.
        model: model folder.
        out: folder to fill: 01-picture.png, 02-film.mp4, …
    """
    from ..generation.chain.chain_file import write_chain

    return write_chain(chain, model, out)
