"""Where worlds begin: recorded episodes, or the first picture of any clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from ...data.codes.bucketed_shards import holds_shards
from ...data.codes.clip_format import SIZE_FIELDS, ClipFormat
from ...data.codes.shards import CodedClip, ShardReader
from ..pipeline import VideoLM
from ..prompt import fitted_image
from ..prompt_medium import Given
from .context import Context

Start = Context | CodedClip | Given
"""A context, a coded episode, or a picture: a clip, a file or an array, whose first frame counts."""


class EpisodeStarts:
    """The beginnings of recorded episodes.

    Args:
        folder: of `videolm encode`, with the codes of episodes.
        clips: of the model.
        latents: of each episode, from its first on; of a shorter one all but the last.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the codes are of another tokenizer, or their actions mean something else.
    """

    def __init__(self, folder: str | Path, clips: ClipFormat, latents: int = 1):
        if latents < 1:
            raise ValueError(f"a start has {latents} latents; expected 1 or more")
        self.reader, self.latents = ShardReader(folder), latents
        if difference := self.reader.clips.differences(clips, besides=SIZE_FIELDS):
            raise ValueError(f"{folder} does not fit the model: {difference}")
        if self.reader.clips.grid[1:] != clips.grid[1:]:
            found, wanted = self.reader.clips.grid[1:], clips.grid[1:]
            raise ValueError(f"{folder} has latents of {found} codes; the model's have {wanted}")
        if not len(self.reader):
            raise ValueError(f"{folder} holds no episodes")

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> Context:
        codes = self.reader[index].codes
        return Context.of_episode(codes, 0, min(self.latents, len(codes["visual"]) - 1))


Starts = EpisodeStarts | list[Context]


def starts_of(model: VideoLM, given: Start | Sequence[Context], latents: int = 1) -> Starts:
    """The starts that somebody names.

    Args:
        given: a folder of coded episodes; contexts; or one start.
        latents: of each episode.

    Raises:
        FileNotFoundError, ValueError: if it is not there, or does not fit the model.
    """
    if isinstance(given, list | tuple):
        contexts = [each for each in given if isinstance(each, Context)]
        if contexts and len(contexts) == len(given):
            return contexts
    if isinstance(given, str | Path) and holds_shards(Path(given)):
        return EpisodeStarts(given, model.clips, latents)
    return [start_of(model, cast(Start, given), latents)]


def start_of(model: VideoLM, given: Start, latents: int = 1) -> Context:
    """One start, such as the first frame of a clip, at the size of the model.

    Raises:
        FileNotFoundError, ValueError: if it is not there, or does not fit the model.
    """
    space = model.clips.action_space
    if space is None:
        raise ValueError("this model knows no actions")
    if isinstance(given, Context):
        return given
    if isinstance(given, CodedClip):
        return Context.of_episode(given.codes, 0, min(latents, len(given.codes["visual"])))
    picture = fitted_image(given, model.clips)
    return Context.first(model.codec.visual_codes(picture), len(space))
