"""The sound of a film that is written again with other pictures."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runtime.notes import notify
from .reading import FrameStream
from .sound import Sound, stream_sound
from .streams import MediaError
from .writing import SOUNDLESS

_MOST_CHANNELS = 2  # of sound in films


@contextmanager
def kept_sound(
    source: Path, target: Path, pictures: FrameStream, num_frames: int
) -> Iterator[Sound | None]:
    """The sound of the first frames of a file; None where there is or fits none.

    It is decoded once before it is written: a broken track costs the sound, not the film.
    """
    if not pictures.may_sound or target.suffix.lower() in SOUNDLESS:
        yield None
        return
    begin, fps = pictures.begin, float(pictures.fps)
    try:
        with stream_sound(source, begin, num_frames, fps) as sound:
            deque(() if sound is None else sound.pieces, maxlen=0)
    except MediaError as error:
        notify(f"{error}; the film is written without its sound")
        yield None
        return
    with stream_sound(source, begin, num_frames, fps, max_channels=_MOST_CHANNELS) as sound:
        yield sound
