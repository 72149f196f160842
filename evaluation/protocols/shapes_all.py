"""The protocol "shapes-all": every task of VideoPoet on the embedded corpus, with the prompts of "shapes".

Every score stands beside its ceiling, the score of the real clips reconstructed by the tokenizers, and its
chance, the score of a model that ignores the prompt and imitates the training set. In PSNR of continued
videos chance is higher: the last given frame, repeated. Beyond "shapes":

    text_to_image             the colour and shape of the picture.
    frame_prediction and      PSNR of the generated frames where the truth follows from the given ones:
    audio_video_continuation  everywhere but where a ball bounces. Of the latter also the pitch.
    inpainting, outpainting   the prompt is the clip, one of the task's masks in turn, and the caption. PSNR
                              of the painted pixels, of the known ones (which the model paints again) and of
                              all; colour, shape and motion of the whole clip. Scores that end in
                              `_composited` are those with the known pixels put back, as a user gets the
                              clip; so is their chance.
    stylization               the prompt is a clip of the same motion in another colour, and a caption that
                              tells the colour; with_image also has the first frame in that colour.
    audio_to_video            the colour that the pitch tells.
    video_to_audio and        `click`: of scenes that bounce, the share in which as many clicks are heard as
    audio_to_video            impacts are seen, each within a frame of its own; `no_click`: of the others, the
                              share without any. Where the sound is given, impacts are read from the picture.
    unconditional             the entropies of the readings are scores, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice, zip_longest
from typing import Any

from ...data.analysis.geometry import SceneGeometry
from ...data.media.clip import Clip
from ...data.synthetic.corpus import Corpus
from ...data.synthetic.rendering import render_frames
from ...data.synthetic.scene import COLOURS, Scene
from ...data.synthetic.sonification import render_sound
from ...generation.pipeline import VideoLM
from ...generation.prompt import Prompt
from ...tasks.conditions import Material, Painting
from ...tasks.masks import Mask, draw_mask
from .shapes import PROBES, SEEN, Probe, read_words, unprompted
from .shapes_all_measures import MEASURES, put_back
from .shapes_exam import NUM_EXAMPLES, Exam, ExamSettings, HeldOut, Result, run_exam


def moves_alike(clip: Clip, scene: Scene) -> Prompt:
    """The clip's caption, and the clip's video with its object in another colour."""
    colours = tuple(COLOURS)
    colour = colours[(colours.index(scene.colour) + len(colours) // 2) % len(colours)]
    other = replace(scene, colour=colour)
    height, width, num_frames = clip.height, clip.width, clip.num_frames
    video = Clip(render_frames(other, height, width, num_frames), clip.fps)
    corpus = Corpus(height=height, width=width, num_frames=num_frames)
    return Prompt(text=clip.caption, video=video, geometry=SceneGeometry(corpus, other))


_PAINTING = Probe(lambda clip, scene, given: Prompt(text=clip.caption, video=clip), ())
ALL_PROBES = PROBES | {
    "text_to_image": Probe(lambda clip, scene, given: Prompt(text=clip.caption), ("colour", "shape")),
    "inpainting": _PAINTING,
    "outpainting": _PAINTING,
    "stylization": Probe(lambda clip, scene, given: moves_alike(clip, scene), SEEN),
    "stylization_with_image": Probe(
        lambda clip, scene, given: replace(moves_alike(clip, scene), image=clip.window(0, 1)), SEEN
    ),
    "audio_to_video": Probe(lambda clip, scene, given: Prompt(audio=clip), ("colour",)),
    "audio_video_continuation": Probe(
        lambda clip, scene, given: Prompt(video=clip.window(0, given)), (*SEEN, "pitch"), "first half"
    ),
}


def run_shapes_all(model: VideoLM, settings: ExamSettings, best_of: int = 1) -> Result:
    """Score the model's tasks, as `run_exam`."""
    result = run_exam(model, EXAM, settings, best_of)
    real = result.held_out["triples"]
    shown = {task: put_back(made, real, _known(model, task, real)) for task, made in result.generated.items()}
    return replace(result, generated=shown, led_by={task: leading(model, task, real) for task in shown})


def leading(model: VideoLM, task: str, real: HeldOut, count: int = NUM_EXAMPLES) -> list[Clip]:
    """The first masked clips, or clips of flow and depth, that a task starts from; most tasks have none."""
    conditions, few = model.config.task(task).conditions, real.first(count)
    if conditions is None:
        return []
    made = []
    for prompt, mask in zip_longest(_asked(model, task, few), _known(model, task, few)):
        assert isinstance(prompt.video, Clip)
        (variant,) = conditions(Material(prompt.video, prompt.geometry, mask), None).values()
        made.append(Clip(variant.frames, prompt.video.fps))
    return made


def judge_all(
    task: str,
    made: Sequence[Clip],
    real: HeldOut,
    training: Sequence[Scene],
    given: int,
    known: Sequence[Mask] = (),
) -> dict[str, dict[str, Any]]:
    """The scores of a task's clips, made from the prompts of the real ones in the same order.

    Args:
        training: scenes of the training set, for the chance level.
        given: frames of each clip that were given.
        known: of painting: the known pixels of each clip.

    Returns:
        For each label score, chance, ceiling, the number of clips n, and the unit of what is no share.
    """
    again = [clip.window(0, made[0].num_frames) for clip in real.reconstructions]
    words, best = (_words(task, clips, real, training, given) for clips in (made, again))
    entries = {label: entry | {"ceiling": best[label]["score"]} for label, entry in words.items()}
    if task not in MEASURES:
        return entries
    continues = ALL_PROBES[task].given == "first half"
    ignorant = _held(real.clips, given) if continues else _unrelated(real.clips, training)
    measured, by_chance, best = (
        MEASURES[task](clips, real, given, known) for clips in (made, ignorant, again)
    )
    for label, (value, count) in measured.items():
        entry = {"score": value, "chance": by_chance[label][0], "ceiling": best[label][0], "n": count}
        entries[label] = entry | ({"unit": "dB"} if label.startswith("psnr") else {})
    return entries


def _asked(model: VideoLM, task: str, real: HeldOut) -> list[Prompt]:
    prompts, kinds = ALL_PROBES[task].prompts(model, real), _mask_kinds(model, task, len(real.clips))
    if not kinds:
        return prompts
    return [replace(prompt, mask=kind) for prompt, kind in zip(prompts, kinds, strict=True)]


def _judged(
    model: VideoLM, task: str, made: Sequence[Clip], real: HeldOut, training: Sequence[Scene]
) -> dict[str, Any]:
    given, known = ALL_PROBES[task].num_given(model), _known(model, task, real)
    return judge_all(task, made, real, training, given, known)


EXAM = Exam(tuple(ALL_PROBES), _asked, _judged)


def _words(
    task: str, clips: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    if task != "unconditional":
        return read_words(ALL_PROBES[task], clips, real, training, given) if ALL_PROBES[task].labels else {}
    found = unprompted(clips)
    varied = {
        f"variety_{label}": {"score": value, "chance": 0.0, "n": len(clips)}
        for label, value in found["variety"].items()
    }
    return {"readable": found["readable"]} | varied


def _unrelated(clips: Sequence[Clip], training: Sequence[Scene]) -> list[Clip]:
    """As many clips of the training set, of the same sizes.

    Backwards: clips of one number share their draws of place, size and time, whatever combination they show.
    """
    return [_rendered(scene, like) for scene, like in zip(cycle(reversed(training)), clips, strict=False)]


def _rendered(scene: Scene, like: Clip) -> Clip:
    frames = render_frames(scene, like.height, like.width, like.num_frames)
    if like.sample_rate is None:
        return Clip(frames, like.fps)
    sound = render_sound(scene, like.num_frames, like.fps, like.sample_rate)
    return Clip(frames, like.fps, sound, like.sample_rate)


def _held(clips: Sequence[Clip], given: int) -> list[Clip]:
    """The clips, standing still after the given frames."""
    return [
        replace(clip, frames=clip.frames[[min(index, given - 1) for index in range(clip.num_frames)]])
        for clip in clips
    ]


def _mask_kinds(model: VideoLM, task: str, count: int) -> list[str]:
    """The kinds of masks that a painting task has, in turn; none for other tasks."""
    conditions = model.config.task(task).conditions
    return list(islice(cycle(conditions.masks), count)) if isinstance(conditions, Painting) else []


def _known(model: VideoLM, task: str, real: HeldOut) -> list[Mask]:
    """The known pixels of each real clip in a painting task; none for other tasks."""
    sizes = model.clips.num_frames, model.clips.height, model.clips.width
    return [draw_mask(kind, *sizes) for kind in _mask_kinds(model, task, len(real.clips))]
