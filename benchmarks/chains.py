"""Chains that a model was never trained for: what is left of the prompt after each link?

    python -m benchmarks.chains --model runs/all-tasks/model --chains 32 --picture docs/chain.png

    text_to_image -> image_to_video -> outpainting -> stylization -> video_to_audio

The captions are of held-out combinations; each link is given what the one before it made. Stylization is told
another colour, so colour and pitch are from then on those of its caption. After each link `describe` reads
what can be seen or heard; silence is wrong.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from videolm.data.media.clip import Clip
from videolm.data.synthetic.caption_grammar import caption_of
from videolm.data.synthetic.scene import COLOURS, PITCH_OF_COLOUR, Scene
from videolm.evaluation.metrics.shapes import describe_all, score, words_of
from videolm.evaluation.protocols.shapes import SEEN
from videolm.evaluation.protocols.shapes_exam import SPLITS, corpus_of
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt import Prompt
from videolm.lm.decoding.sampling import Sampling

from .all_tasks_picture import compact, heard, row, stacked, strip
from .measuring import Record, command, cpu_seconds, machine, markdown_table
from .object_geometry import ObjectGeometry

POPULATION = 1024


@dataclass(frozen=True)
class Link:
    """A task of the chain.

    Args:
        prompt: from what the link before made (None at first) and the scene that is to be seen.
        labels: what is read of the result.
        restyles: the object has another colour from here on.
    """

    task: str
    prompt: Callable[[Clip | None, Scene], Prompt]
    labels: tuple[str, ...] = SEEN
    restyles: bool = False


LINKS = (
    Link("text_to_image", lambda before, scene: Prompt(text=caption_of(scene)), ("colour", "shape")),
    Link("image_to_video", lambda before, scene: Prompt(text=caption_of(scene), image=before)),
    Link("outpainting", lambda before, scene: Prompt(text=caption_of(scene), video=before)),
    Link(
        "stylization",
        lambda before, scene: Prompt(text=caption_of(scene), video=before, geometry=ObjectGeometry()),
        restyles=True,
    ),
    Link("video_to_audio", lambda before, scene: Prompt(video=before), (*SEEN, "pitch")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", default="synthetic-plain")
    parser.add_argument("--chains", type=int, default=32, help="per kind of held-out prompt")
    parser.add_argument("--temperature", type=float, default=0.3)
    parser.add_argument("--guidance-scale", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="file for a picture of one chain (.png)")
    arguments = parser.parse_args()
    print(machine(torch.get_num_threads()), end="\n\n")
    model = VideoLM.from_pretrained(arguments.model)
    sampling = Sampling(arguments.temperature, guidance_scale=arguments.guidance_scale)
    training = scenes_of(model, arguments.source, "train", POPULATION, arguments.seed)
    for split in SPLITS:
        scenes = scenes_of(model, arguments.source, split, arguments.chains, arguments.seed)
        seconds, made = cpu_seconds(lambda own=scenes: run(model, own, sampling, arguments.seed))
        print(f"{split}: {len(scenes)} chains, {seconds / len(scenes):.1f} CPU s a chain\n")
        print(scores(made, scenes, training), end="\n\n")
        if arguments.picture is not None and split == SPLITS[0]:
            compact(picture(made, scenes[0])).save(arguments.picture, optimize=True)


def scenes_of(model: VideoLM, source: str, split: str, number: int, seed: int) -> list[Scene]:
    corpus = corpus_of(model, source, split, seed)
    return [corpus.scene(index) for index in range(number)]


def run(model: VideoLM, scenes: Sequence[Scene], sampling: Sampling, seed: int) -> list[list[Clip]]:
    """For each link the clips of all chains; chain n of link k has the seed seed + 10,000 k + n."""
    made: list[list[Clip]] = []
    before: Sequence[Clip | None] = [None] * len(scenes)
    for number, (link, wanted) in enumerate(zip(LINKS, told(scenes), strict=True)):
        prompts = [link.prompt(*pair) for pair in zip(before, wanted, strict=True)]
        how = sampling if prompts[0].text is not None else replace(sampling, guidance_scale=1.0)
        made.append(model.generate_batch(link.task, prompts, seed=seed + 10_000 * number, sampling=how))
        before = made[-1]
    return made


def told(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """For each link the scenes that it is to show."""
    wanted, rows = list(scenes), []
    for link in LINKS:
        if link.restyles:
            wanted = [restyled(scene) for scene in wanted]
        rows.append(wanted)
    return rows


def restyled(scene: Scene) -> Scene:
    """The same scene with an object of a colour half a turn away."""
    colours = tuple(COLOURS)
    return replace(scene, colour=colours[(colours.index(scene.colour) + len(colours) // 2) % len(colours)])


def scores(made: Sequence[Sequence[Clip]], scenes: Sequence[Scene], training: Sequence[Scene]) -> str:
    """Shares of right words after each link, and the chance of a model that ignores its prompt."""
    rows: list[Record] = []
    for link, clips, wanted in zip(LINKS, made, told(scenes), strict=True):
        readings = describe_all(clips)
        found: Record = {"after": link.task}
        for label in ("colour", "shape", "motion", "pitch"):
            entry = None
            if label in link.labels:
                words = [getattr(reading, label) for reading in readings]
                entry = score(words_of(wanted, label), words, words_of(training, label))
            found[label] = None if entry is None else f"{entry['score']:.2f} (chance {entry['chance']:.2f})"
        rows.append(found)
    return markdown_table(rows)


def picture(made: Sequence[Sequence[Clip]], scene: Scene) -> Image.Image:
    """The first chain, link by link."""
    rows = []
    for link, clips, wanted in zip(LINKS, made, told([scene]), strict=True):
        frames = heard(clips[0]) if "pitch" in link.labels else clips[0].frames
        text = link.prompt(None, wanted[0]).text
        words = f"{link.task}: {text}" if text else f"{link.task}: {PITCH_OF_COLOUR[wanted[0].colour]}"
        rows.append(row([strip(frames, clips[0].width)], words))
    return stacked(rows)


if __name__ == "__main__":
    command(main)
