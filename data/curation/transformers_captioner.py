"""Captions by a transformers model from a local folder, without downloads and without remote code.

    chat models (LLaVA, Idefics, Gemma 3 …)    several pictures and a prompt, by the folder's chat template
    GIT of videos                              as many pictures as it was trained with
    others (BLIP, GIT …)                       the picture in the middle
"""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..runtime.device import device_of
from .answers import caption_of
from .captioner import Pictures, Unanswered

_MAX_TOKENS = 200


class FolderCaptioner:
    """A model that AutoModelForImageTextToText loads, with its processor.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no such model.
    """

    at_once = 1

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder} with a captioner")
        from transformers import AutoModelForImageTextToText, AutoProcessor

        from ..runtime.transformers_loading import LOCAL, LOCAL_WEIGHTS, quiet_transformers

        device = device_of()
        dtype = "auto" if device.type == "cuda" else torch.float32
        try:
            with quiet_transformers():
                self.processor: Any = AutoProcessor.from_pretrained(folder, **LOCAL)
                model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, **LOCAL_WEIGHTS)
        except (OSError, ValueError, ImportError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{folder} holds no captioner that transformers loads: {reason}") from error
        if not hasattr(self.processor, "image_processor") or not hasattr(self.processor, "tokenizer"):
            raise ValueError(f"{folder} lacks a processor of pictures and text (preprocessor_config.json …)")
        # Its own `to` is decorated, after which its type is not that of a method.
        self.model: Any = torch.nn.Module.to(model.eval().requires_grad_(False), device)
        self.name = folder.name
        self.follows = bool(getattr(self.processor, "chat_template", None))

    @torch.inference_mode()
    def __call__(self, prompt: str | None, pictures: Pictures = ()) -> str:
        if self.follows:
            return self._told(prompt, pictures)
        if not pictures:
            raise ValueError(f"{self.name} has no chat template: it describes pictures and rewrites no text")
        return self._described(prompt, pictures)

    def _told(self, prompt: str | None, pictures: Pictures) -> str:
        if prompt is None:
            raise ValueError(f"{self.name} is told what to do by a prompt; it is missing")
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": prompt}]
        message = [{"role": "user", "content": content}]
        text = self.processor.apply_chat_template(message, add_generation_prompt=True)
        images = [Image.fromarray(picture) for picture in pictures] or None
        inputs = self._inputs(images=images, text=text)
        written = self._generate(inputs)
        if not self.model.config.is_encoder_decoder:
            written = written[:, inputs["input_ids"].shape[1] :]
        return self._in_words(written)

    def _described(self, beginning: str | None, pictures: Pictures) -> str:
        """A caption, which goes on from some words if they are given."""
        frames = getattr(self.model.config, "num_image_with_embedding", None) or 1
        middles = [len(pictures) * (2 * number + 1) // (2 * frames) for number in range(frames)]
        images = [Image.fromarray(pictures[middle]) for middle in middles]
        inputs = self._inputs(images=images, text=beginning)
        if frames > 1:
            inputs["pixel_values"] = inputs["pixel_values"][None]
        return self._in_words(self._generate(inputs))

    def _inputs(self, images: list[Image.Image] | None, text: str | None) -> dict[str, Any]:
        given = {name: value for name, value in (("images", images), ("text", text)) if value}
        inputs = self.processor(**given, return_tensors="pt")
        return dict(inputs.to(self.model.device, self.model.dtype))

    def _generate(self, inputs: dict[str, Any]) -> torch.Tensor:
        try:
            return self.model.generate(**inputs, max_new_tokens=_MAX_TOKENS, do_sample=False)
        except (ValueError, RuntimeError, IndexError) as error:  # too many pictures for it, or out of memory
            raise Unanswered(f"{self.name} fails: {str(error).strip().splitlines()[0]}") from error

    def _in_words(self, ids: torch.Tensor) -> str:
        text = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)[0]
        return caption_of(text, is_whole=ids.shape[1] < _MAX_TOKENS or self._has_ended(ids))

    def _has_ended(self, ids: torch.Tensor) -> bool:
        """Whether a mark of the end is last."""
        ends = self.model.generation_config.eos_token_id
        return int(ids[0, -1]) in (ends if isinstance(ends, list) else [ends])
