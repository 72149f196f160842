"""The frames and sound of a long video made so far, to which windows are joined."""

import torch
from torch import Tensor

from ...data.codes.clip_format import ClipFormat
from ...data.media.clip import Clip
from ...data.media.timing import audio_samples
from .crossfade import PictureJoin, SoundJoin, join_sounds, picture_join

# A tone that is generated anew for a window begins anywhere in its period: 5 ms are one of 200 Hz.
_MOST_SHIFT_SECONDS = 0.005


class Timeline:
    """Frames and sound of at most `most_frames` frames, at the model's sizes and rates.

    The sound may end a few milliseconds before the frames do: a codec gives whole hops.
    """

    def __init__(self, clips: ClipFormat, most_frames: int, has_sound: bool):
        self.clips = clips
        self.num_frames, self.num_samples = 0, 0
        self._frames = torch.zeros(most_frames, clips.height, clips.width, 3, dtype=torch.uint8)
        self._sound = torch.zeros(1, self._samples(most_frames)) if has_sound else None

    def begin(self, clip: Clip) -> None:
        """Take a clip as it is: a given video, whose missing sound is silence."""
        self._frames[: clip.num_frames] = clip.frames
        self.num_frames = clip.num_frames
        if self._sound is not None:
            self.num_samples = self._samples(clip.num_frames)
            if clip.waveform is not None:
                heard = clip.resampled(self.clips.sample_rate, channels=1).sound(self.num_samples)
                self._sound[:, : self.num_samples] = heard

    def tail(self, num_frames: int) -> Clip:
        """The last frames with their sound."""
        return self._clip(self.num_frames - num_frames, self.num_frames)

    def clip(self, num_frames: int) -> Clip:
        """The first frames with their sound."""
        return self._clip(0, num_frames)

    def join(self, window: Clip, given: int, align: bool) -> tuple[PictureJoin | None, SoundJoin | None]:
        """Go on with a window whose first `given` frames are the last ones here; how well it fits.

        Args:
            align: move its sound by up to 5 ms, so that tones go on in phase.
        """
        first = self.num_frames - given
        self._frames[first : first + window.num_frames] = window.frames
        self.num_frames = first + window.num_frames
        sound = self._join_sound(window, self._samples(first), align)
        return picture_join(window.frames, given) if given else None, sound

    def _join_sound(self, window: Clip, start: int, align: bool) -> SoundJoin | None:
        if self._sound is None or window.waveform is None:
            return None
        # Whole hops: what follows them in the window is silence up to its last frame.
        later = window.waveform[:, : self.clips.audio_frames * self.clips.hop_length]
        if not self.num_samples:
            self._place(later, 0)
            return None
        # Of the earlier sound, no more than the window can be compared with.
        begin = max(start - later.shape[1], 0)
        earlier = self._sound[:, begin : self.num_samples]
        most_shift = round(_MOST_SHIFT_SECONDS * self.clips.sample_rate) if align else 0
        joined, join = join_sounds(
            earlier, later, self.num_samples - start, self.clips.sample_rate, most_shift
        )
        self._place(joined, begin)
        return join

    def _place(self, sound: Tensor, begin: int) -> None:
        assert self._sound is not None
        self._sound[:, begin : begin + sound.shape[1]] = sound
        self.num_samples = begin + sound.shape[1]

    def _clip(self, first: int, last: int) -> Clip:
        frames = self._frames[first:last].clone()
        if self._sound is None:
            return Clip(frames, self.clips.fps)
        sound = self._sound[:, self._samples(first) : self._samples(last)].clone()
        return Clip(frames, self.clips.fps, sound, self.clips.sample_rate)

    def _samples(self, num_frames: int) -> int:
        return audio_samples(num_frames, self.clips.fps, self.clips.sample_rate)
