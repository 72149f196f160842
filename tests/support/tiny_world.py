"""A world whose pictures are known exactly: each frame shows the last action and the number of the step.

A frame has two squares of 8 x 8 pixels: the brightness of the left one is the last action (level 3 before the
first), that of the right one counts the steps, modulo 4. A step is rewarded where its action is 2, and ends
the episode where the count comes back to 0. So whoever takes the wrong action, frame or outcome by one place
sees it at once.
"""

from pathlib import Path

import torch
from torch import nn

from videolm.data.codes.clip_format import ClipFormat
from videolm.data.codes.shards import CodedClip, ShardWriter
from videolm.data.environments.action_space import ActionDimension, ActionSpace
from videolm.data.media.timing import video_frames
from videolm.generation.pipeline import VideoLM
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.model_config import ModelConfig
from videolm.tokenizers.video.protocol import code_grid

LEVELS = 4
SPACE = ActionSpace((ActionDimension("move", choices=3),), rate=8.0)
_SQUARE = 8


class LevelCodec(nn.Module):
    """Codes of pictures of squares of 4 levels: a digit a frame. It is exact, and meets `VideoCodec`."""

    def __init__(self, temporal_stride: int):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.temporal_stride, self.spatial_stride = temporal_stride, _SQUARE
        self.codebook_size = LEVELS**temporal_stride
        self.factors = (2 ** temporal_stride, 2 ** temporal_stride)
        self.fingerprint = f"levels-{temporal_stride}"

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        strides = {"temporal_stride": self.temporal_stride, "spatial_stride": _SQUARE}
        return code_grid(num_frames, height, width, **strides)

    def encode(self, pixels):
        levels = ((pixels[:, 0, :, ::_SQUARE, ::_SQUARE] + 1) / 2 * (LEVELS - 1)).round().long()
        return self.codes_of(levels)

    def codes_of(self, levels):
        """(batch frames h w) -> (batch t h w)"""
        first, rest = levels[:, :1], levels[:, 1:]
        groups = rest.unflatten(1, (-1, self.temporal_stride))
        weights = LEVELS ** torch.arange(self.temporal_stride)
        return torch.cat([first, (groups * weights[:, None, None]).sum(2)], 1)

    def levels_of(self, codes, has_first: bool = True):
        """(batch t h w) -> (batch frames h w)"""
        weights = LEVELS ** torch.arange(self.temporal_stride)
        groups = codes[:, :, None] // weights[:, None, None] % LEVELS
        if not has_first:
            return groups.flatten(1, 2)
        return torch.cat([groups[:, 0, :1], groups[:, 1:].flatten(1, 2)], 1)

    def decode(self, codes, has_first: bool = True):
        levels = self.levels_of(codes, has_first).float() / (LEVELS - 1) * 2 - 1
        pixels = levels.repeat_interleave(_SQUARE, 2).repeat_interleave(_SQUARE, 3)
        return pixels[:, None].expand(-1, 3, -1, -1, -1)

    def decoder_stream(self):
        return _Stream(self)

    def encoder_stream(self):
        raise NotImplementedError("the tests of worlds decode only")

    def save_pretrained(self, folder):
        raise NotImplementedError("it stays in memory")


class _Stream:
    def __init__(self, codec: LevelCodec):
        self.codec, self.started = codec, False

    def push(self, codes):
        has_first, self.started = not self.started, True
        return self.codec.decode(codes, has_first)


def world_format(temporal_stride: int, window: int) -> ClipFormat:
    """The format of clips of the world, with a window of so many latents."""
    return ClipFormat(
        height=_SQUARE,
        width=2 * _SQUARE,
        num_frames=video_frames(window, temporal_stride),
        fps=SPACE.rate,
        grid=(window, 1, 2),
        temporal_stride=temporal_stride,
        factors=LevelCodec(temporal_stride).factors,
        video_tokenizer=LevelCodec(temporal_stride).fingerprint,
        actions=SPACE.to_json(),
    )


def levels_of(actions):
    """The levels that the world shows, (frames 1 2), of actions (steps)."""
    shown = torch.cat([torch.tensor([3]), actions])
    return torch.stack([shown, torch.arange(len(shown)) % LEVELS], 1)[:, None]


def outcomes_of(actions):
    """Codes of the outcomes of actions (steps)."""
    ends = torch.arange(1, len(actions) + 1) % LEVELS == 0
    return SPACE.encode_outcomes((actions == 2).double(), ends)


def world_episode(clips: ClipFormat, latents: int, seed: int) -> CodedClip:
    """An episode of random actions."""
    actions = SPACE.sample(clips.num_steps(latents), torch.Generator().manual_seed(seed))
    visual = LevelCodec(clips.temporal_stride).codes_of(levels_of(actions[0])[None])[0]
    codes = {"visual": visual, "actions": actions, "outcome": outcomes_of(actions[0])}
    return CodedClip(codes, source=f"episode-{seed}", path=f"episode-{seed}.mkv")


def write_episodes(folder: Path, clips: ClipFormat, latents: list[int]) -> Path:
    """Shards of episodes of these lengths."""
    writer = ShardWriter(folder, clips, {"source": "world"})
    writer.write(0, [world_episode(clips, length, seed) for seed, length in enumerate(latents)])
    writer.finish()
    return folder


def world_model(temporal_stride: int = 1, window: int = 6, dim: int = 32, seed: int = 0) -> VideoLM:
    """A model of the world with random weights, whose heads are not zero."""
    clips, codec = world_format(temporal_stride, window), LevelCodec(temporal_stride)
    vocabulary = Vocabulary.of_sizes(visual=codec.factors, audio=()).extended(SPACE.blocks)
    torch.manual_seed(seed)
    config = LMConfig(dim=dim, layers=2, heads=2, kv_heads=2, hidden=2 * dim, rotary_dims=(8, 4, 4))
    lm = PrefixLM(config, vocabulary)
    for weight in lm.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.3)
    return VideoLM(ModelConfig(clips, ("world",)), vocabulary, lm, codec)
