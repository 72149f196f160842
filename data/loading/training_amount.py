"""How much there is to train on: said when a training starts, and its number of steps may follow from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingAmount:
    """Clips and sequences of a training.

    Args:
        clips: different files that are trained on, or parts of files that the list names; None if they never
            repeat.
        held_out: clips to validate on.
        step: what one step of a process sees, in words, such as "8 clips".
        steps_a_pass: steps in which each clip is seen once, in the mean; None if clips never repeat.
        sequences: coded windows of the clips; None where windows are cut anew each time.
    """

    clips: int | None
    held_out: int
    step: str
    steps_a_pass: float | None = None
    sequences: int | None = None

    def __str__(self) -> str:
        if self.clips is None:
            learnt = "clips that never repeat"
        elif self.sequences is None:
            learnt = f"{self.clips:,} clips"
        else:
            learnt = f"{self.sequences:,} sequences of {self.clips:,} clips"
        return f"{learnt} to learn from, {self.held_out:,} held out; a step sees {self.step}"
