"""How well frames fit a text: the cosine of their CLIP embeddings (Radford et al. 2021, arXiv:2103.00020)."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ...data.runtime.device import device_of
from ...data.runtime.transformers_loading import LOCAL, LOCAL_WEIGHTS


class ClipSimilarity:
    """Cosine of a text and each of some frames, averaged over them, by a folder of transformers' CLIPModel.

    That is CLIPSIM (Wu et al. 2021, arXiv:2104.14806). A text that is too long for CLIP is cut. Runs on a GPU
    if there is one.

    Attributes:
        architecture: layers and patch size, for the record.

    Raises:
        FileNotFoundError: if there is no such folder; nothing is downloaded.
        ValueError: if it holds no CLIP model.
    """

    def __init__(self, folder: str | Path):
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        if not Path(folder).is_dir():
            raise FileNotFoundError(f"there is no folder {folder} with a CLIP model")
        try:
            model = CLIPModel.from_pretrained(folder, **LOCAL_WEIGHTS)
            self.processor = CLIPImageProcessorPil.from_pretrained(folder, **LOCAL)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{folder} holds no CLIP model that transformers loads: {reason}") from error
        self.model: Any = nn.Module.to(model.eval(), device_of())  # transformers hides the types of CLIPModel
        vision = self.model.config.vision_config
        self.architecture = f"{vision.num_hidden_layers} layers, patches of {vision.patch_size}"

    @torch.no_grad()
    def __call__(self, frames: UInt8[Tensor, "frames height width 3"], text: str) -> Float[Tensor, ""]:
        most = self.model.config.text_config.max_position_embeddings
        words = self.tokenizer([text], truncation=True, max_length=most, return_tensors="pt")
        images = self.processor(images=list(frames.numpy()), return_tensors="pt")
        inputs = {name: words[name] for name in ("input_ids", "attention_mask")} | dict(images)
        outputs = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        seen, said = outputs.image_embeds.float(), outputs.text_embeds.float()
        return torch.cosine_similarity(seen, said, dim=1).mean().cpu()
