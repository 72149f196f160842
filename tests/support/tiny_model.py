"""A whole model with random weights: every task, sound and text, sizes of a few hundred codes."""

from pathlib import Path

import torch

from videolm.data.codes.shards import CodedClip, ShardWriter
from videolm.data.synthetic.caption_grammar import NUM_PHRASINGS, caption_of
from videolm.data.synthetic.corpus import Corpus
from videolm.generation.pipeline import VideoLM
from videolm.lm.model.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.model_config import ModelConfig
from videolm.tasks.task import all_tasks, film_task_names
from videolm.tasks.training_data.clip_encoder import ClipEncoder
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from videolm.tokenizers.video.config import VideoTokenizerConfig
from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

SIZES = {"height": 32, "width": 32, "num_frames": 9, "fps": 8.0}


def tiny_corpus() -> Corpus:
    return Corpus(**SIZES, sample_rate=16000, split="triples")


def tiny_model(corpus: Corpus, seed: int) -> VideoLM:
    torch.manual_seed(seed)
    video = VideoTokenizer(
        VideoTokenizerConfig(bits=6, channels=8, multipliers=(1, 1, 1), patch=4, spatial_strides=(2, 1))
    )
    audio = AudioTokenizer.of_config(AudioTokenizerConfig(num_filters=4, hidden_size=8, codebook_size=16))
    audio.set_codebooks(torch.randn(2, 16, 8))
    captions = [caption_of(corpus.scene(index), index % NUM_PHRASINGS) for index in range(100 + seed)]
    text = TextTokenizer.train(captions, vocab_size=320)
    vocabulary = Vocabulary.of_sizes(video.factors, audio.codebook_sizes, text.vocab_size)
    lm = PrefixLM(
        LMConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=64, rotary_dims=(4, 6, 6)), vocabulary
    )
    for weight in lm.parameters():  # a fresh model's heads are zero: it would not listen to its prompt
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    clips = ClipEncoder(video, audio, **SIZES, tasks=all_tasks()).clips
    config = ModelConfig(clips, film_task_names(), text.fingerprint)
    return VideoLM(config, vocabulary, lm, video, audio, text)


def write_coded_run(run: Path, model: VideoLM, corpus: Corpus) -> None:
    """Fill a run folder with the model's tokenizers, and shards of random codes with captions."""
    model.video_tokenizer.save_pretrained(run / "model" / "video_tokenizer")
    assert model.audio_tokenizer is not None
    model.audio_tokenizer.save_pretrained(run / "model" / "audio_tokenizer")
    writer = ShardWriter(run / "shards", model.clips, {"source": "random"})
    generator = torch.Generator().manual_seed(0)
    clips = []
    for number in range(40):
        codes = {
            name: torch.randint(16 if name == "audio" else 64, shape, generator=generator)
            for name, shape in model.clips.shapes.items()
        }
        clips.append(CodedClip(codes, (caption_of(corpus.scene(number), 0),), f"file-{number}"))
    writer.write(0, clips)
    writer.finish()
