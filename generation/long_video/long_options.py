"""What `videolm long-video` is asked for, as texts and names of files: a group of the command's options.

Nothing here imports torch, so that the command's help is instant.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .script import Line, read_script

if TYPE_CHECKING:
    from .long_video import LongPrompt


@dataclass(frozen=True)
class LongOptions:
    """What a long video is made of.

    Args:
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
    """

    text: str | None = None
    script: Path | None = None
    seconds: float | None = None
    image: Path | None = None
    video: Path | None = None
    negative: str | None = None
    given: int | None = None
    silent: bool = False
    aspect: str | None = None

    def __post_init__(self) -> None:
        if self.text is not None and self.script is not None:
            raise ValueError("give either --text or --script")

    def check_files(self) -> None:
        """Raise a FileNotFoundError if a file is missing."""
        for name in ("script", "image", "video"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise FileNotFoundError(f"there is no file {path} for the {name}")

    @property
    def prompt(self) -> "LongPrompt":
        """The prompt, with the lines of the script.

        Raises:
            ValueError: if the script is none.
        """
        from .long_video import LongPrompt

        lines = [] if self.text is None else [Line(self.text)]
        if self.script is not None:
            lines = read_script(self.script)
        return LongPrompt(
            lines,
            self.seconds,
            self.image,
            self.video,
            self.negative,
            self.given,
            self.silent,
            self.aspect,
        )
