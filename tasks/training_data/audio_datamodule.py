"""Clips for an audio codec: `videolm audio fit`."""

from pathlib import Path

from ...data.loading.clip_datamodule import ClipDataModule


class AudioDataModule(ClipDataModule):
    """Batches of clips with sound; see `ClipDataModule`."""

    def export(self, folder: str | Path) -> None:
        """Write into the codec of a model folder which clips it was trained on."""
        self.trained_clips.save(Path(folder) / "audio_tokenizer")
