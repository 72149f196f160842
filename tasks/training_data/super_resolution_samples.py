"""Pictures of what a stage of super-resolution makes while it is trained.

trainer:
  callbacks:
    - class_path: videolm.tasks.training_data.super_resolution_samples.SuperResolutionSamples
      init_args: {every: null}
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from lightning import Trainer
from torch import Tensor

from ...data.media.contact_sheet import sheet
from ...data.media.pixels import frames_from_pixels
from ...data.runtime.files import replacing
from ...super_resolution.decoding import DecodeSettings, decode
from ...super_resolution.low_resolution import resized
from ...super_resolution.transformer import SuperResolution
from ...tokenizers.video.protocol import VideoCodec
from .clip_pools import first_caption
from .low_codes import LOW
from .sample_callback import SampleCallback
from .super_resolution_datamodule import SuperResolutionDataModule

_CLIPS = 3
_SETTINGS = DecodeSettings(steps=12)


class SuperResolutionSamples(SampleCallback):
    """Write samples/step-000500.png now and then: held-out clips as the stage is given them, enlarged; as it
    makes them; and as their own codes are, which is the best that it could do.

    Clips and random numbers are the same every time.

    Args:
        every: steps between two pictures; None writes one at each validation.
    """

    def _write(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "samples" / f"step-{trainer.global_step:06d}.png"
            write_samples(module.trained, trainer.datamodule, path)  # type: ignore[attr-defined]


@torch.no_grad()
def write_samples(model: SuperResolution, data: SuperResolutionDataModule, path: Path) -> None:
    """Enlarge the first held-out clips and write them as one picture."""
    was_training = model.training
    model.eval()
    assert data.encoder.low is not None
    stage, device, rows = model.config.clips, model.hidden_code.device, []
    for index in data.validation[:_CLIPS]:
        clip, caption = data.validation_set[index], first_caption(data.validation_set, index)
        condition = data.maker.condition([clip], [caption]).to(device)
        made = decode(model, condition, _SETTINGS, [torch.Generator().manual_seed(0)])[0]
        low = frames_of(data.encoder.low.video, clip.codes[LOW])
        words = f": {caption}" if caption and stage.has_text else ""
        rows.append((resized(low, stage.large.height, stage.large.width), "given, enlarged"))
        rows.append((frames_of(data.encoder.video, made), f"made{words}"))
        rows.append((frames_of(data.encoder.video, clip.codes["visual"]), "its own codes"))
    model.train(was_training)
    with replacing(path) as temporary:
        sheet(rows).save(temporary)


def frames_of(tokenizer: VideoCodec, codes: Int[Tensor, "t h w"]) -> UInt8[Tensor, "frames height width 3"]:
    """The frames that codes stand for."""
    device = next(tokenizer.parameters()).device
    return frames_from_pixels(tokenizer.decode(codes[None].to(device)))[0].cpu()
