"""The protocol "shapes": do clips show what their prompts say, on combinations held out of training?

Prompts are captions and clips of the embedded corpus, from the held-out splits of shapes_exam.py. What a
generated clip shows is read by `data.synthetic.describing.describe`, from its pixels and sound only; an
abstention counts as wrong. What is scored, by task:

    text_to_video     colour, shape, motion and camera of the whole clip.
    image_to_video    the prompt is the first frame and the caption. Motion is read from the whole clip,
                      colour and shape from the generated frames only: the given frame shows both.
    frame_prediction  the prompt is the first half of the clip, without text. Colour and shape are read from
                      the generated frames only, motion from the last given frame on. The right motion is
                      the one read in the same frames of the real clip, because a motion may look different
                      from there (a ball that has bounced goes up). Clips whose real frames cannot be read
                      are not in n; they are counted as `unjudged`.
    video_to_audio    the prompt is the silent clip; the pitch of the sound is read.
    unconditional     no prompt: the share of clips in which colour, shape and motion can all be read, and how
                      varied the readings are (entropy / largest entropy).

Camera is scored on prompts with a moving one, which are the only captions that mention it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...data.media.clip import Clip
from ...data.media.timing import video_frames
from ...data.synthetic.scene import Scene
from ...generation.pipeline import VideoLM
from ...generation.prompt import Prompt
from ..metrics.shapes import describe_all, score, variety, word_scores, words_of
from .shapes_exam import Exam, ExamSettings, HeldOut, Result, run_exam

SEEN = ("colour", "shape", "motion")


@dataclass(frozen=True)
class Probe:
    """How one task is asked and judged.

    Args:
        prompt: from a real clip, its scene and the number of its frames that are given.
        labels: what is read from the result.
        given: of the real clip, what stands in the prompt and comes back in the result.
    """

    prompt: Callable[[Clip, Scene, int], Prompt]
    labels: tuple[str, ...]
    given: Literal["nothing", "first frame", "first half"] = "nothing"

    def num_given(self, model: VideoLM) -> int:
        """Frames that are given."""
        clips = model.clips
        half = video_frames((clips.grid[0] + 1) // 2, clips.temporal_stride)
        return {"nothing": 0, "first frame": 1, "first half": half}[self.given]

    def prompts(self, model: VideoLM, real: HeldOut) -> list[Prompt]:
        given = self.num_given(model)
        return [
            self.prompt(clip, scene, given) for clip, scene in zip(real.clips, real.scenes, strict=True)
        ]


PROBES = {
    "text_to_video": Probe(lambda clip, scene, given: Prompt(text=clip.caption), (*SEEN, "camera")),
    "image_to_video": Probe(
        lambda clip, scene, given: Prompt(text=clip.caption, image=clip.window(0, 1)),
        (*SEEN, "camera"),
        "first frame",
    ),
    "frame_prediction": Probe(
        lambda clip, scene, given: Prompt(video=clip.window(0, given)), SEEN, "first half"
    ),
    "video_to_audio": Probe(
        lambda clip, scene, given: Prompt(video=clip.silent()), ("pitch",)
    ),
    "unconditional": Probe(lambda clip, scene, given: Prompt(), SEEN),
}


def run_shapes(model: VideoLM, settings: ExamSettings) -> Result:
    """Score the tasks of the model that the protocol knows, as `run_exam`."""
    return run_exam(model, EXAM, settings)


def _judged(
    model: VideoLM, task: str, made: Sequence[Clip], real: HeldOut, training: Sequence[Scene]
) -> dict[str, Any]:
    return judge(task, made, real, training, PROBES[task].num_given(model))


EXAM = Exam(tuple(PROBES), lambda model, task, real: PROBES[task].prompts(model, real), _judged)


def judge(
    task: str, made: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    """The scores of a task's clips, made from the prompts of the real ones in the same order.

    Args:
        training: scenes of the training set, for the chance level.
        given: frames of each clip that were given.
    """
    if task == "unconditional":
        return unprompted(made)
    return read_words(PROBES[task], made, real, training, given)


def read_words(
    probe: Probe, made: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    """The score of every label; the arguments are those of `judge`."""
    if probe.labels == ("pitch",):
        heard = describe_all([replace(clip, frames=clip.frames[:1]) for clip in made])
        return word_scores(probe.labels, real.scenes, heard, training)
    new = describe_all([clip.window(given, clip.num_frames - given) for clip in made])
    scores = word_scores(
        [label for label in probe.labels if label not in ("motion", "camera")], real.scenes, new, training
    )
    rest = [label for label in probe.labels if label not in scores]
    if not rest:
        return scores
    if probe.given == "first half":
        return scores | {"motion": _continued_motion(made, real, training, given)}
    return scores | word_scores(rest, real.scenes, describe_all(made) if given else new, training)


def unprompted(made: Sequence[Clip]) -> dict[str, Any]:
    """The share of clips that can be read, and how varied the readings are."""
    readings = describe_all(made)
    readable = [all(getattr(reading, label) for label in SEEN) for reading in readings]
    share = {"score": sum(readable) / len(readable), "chance": 0.0, "n": len(readable)}
    varied = {label: variety([getattr(reading, label) for reading in readings], label) for label in SEEN}
    return {"readable": share, "variety": varied}


def _continued_motion(
    made: Sequence[Clip], real: HeldOut, training: Sequence[Scene], given: int
) -> dict[str, Any]:
    def from_last_given(clips: Sequence[Clip]) -> list[str | None]:
        readings = describe_all([clip.window(given - 1, clip.num_frames - given + 1) for clip in clips])
        return [reading.motion for reading in readings]

    wanted, found = from_last_given(real.clips), from_last_given(made)
    judged = [index for index, word in enumerate(wanted) if word is not None]
    unjudged = {"unjudged": len(wanted) - len(judged)}
    if not judged:
        return {"score": 0.0, "chance": 0.0, "n": 0} | unjudged
    words = [wanted[index] or "" for index in judged]
    return score(words, [found[index] for index in judged], words_of(training, "motion")) | unjudged
