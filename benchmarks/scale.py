"""What data cost at a million clips: start, memory of workers, packing, checksums, texts, media.

    python -m benchmarks.scale make FOLDER --clips 1000000    # shards of small codes, with captions
    python -m benchmarks.scale index FOLDER                   # its shards alone; run it twice
    python -m benchmarks.scale start FOLDER                   # a data module on them; run it twice
    python -m benchmarks.scale workers FOLDER                 # proportional set size of a loader's workers
    python -m benchmarks.scale packing FOLDER                 # what a pass over packed rows shows
    python -m benchmarks.scale checksums | texts | media

Each command is a process of its own and prints a line of JSON, so that two versions can be measured in turn
(PYTHONPATH chooses one). One thread.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

SIZES = {"height": 16, "width": 16, "num_frames": 9, "fps": 8.0}
TASKS = {"text_to_video": 3.0, "text_to_image": 1.0, "frame_prediction": 1.0}
SHARD = 512
WORDS = (
    "red", "blue", "small", "large", "round", "quick", "slow", "bright", "old", "new", "ball", "car", "dog",
    "tree", "boat", "cloud", "river", "house", "town",
)  # fmt: skip


def make(folder: Path, clips: int) -> dict[str, Any]:
    """A model folder with a small tokenizer, and shards of random codes of its format."""
    from videolm.data.codes.shards import CodedClip, ShardWriter
    from videolm.tasks.training_data.clip_encoder import ClipEncoder
    from videolm.tokenizers.video.config import VideoTokenizerConfig
    from videolm.tokenizers.video.video_tokenizer import VideoTokenizer

    config = VideoTokenizerConfig(bits=8, channels=4, multipliers=(1, 1), patch=8, spatial_strides=(1,),
                                  temporal_strides=(4,), temporal_kernel=4)  # fmt: skip
    VideoTokenizer(config).save_pretrained(folder / "model" / "video_tokenizer")
    encoder = ClipEncoder.from_pretrained(folder / "model", **SIZES)
    writer = ShardWriter(folder / "shards", encoder.clips, {"source": str(folder), "split": "train"})
    for number in range(-(-clips // SHARD)):
        members = range(number * SHARD, min((number + 1) * SHARD, clips))
        codes = torch.randint(256, (len(members), *encoder.clips.grid))
        writer.write(number, [coded(CodedClip, *pair) for pair in zip(members, codes, strict=True)])
    writer.finish()
    return {"clips": clips}


def coded(kind: Any, number: int, codes: torch.Tensor) -> Any:
    words = [WORDS[(number // len(WORDS) ** place + place) % len(WORDS)] for place in range(5)]
    caption = f"a {words[0]} {words[1]} thing number {number} near a {words[2]} {words[3]} {words[4]}"
    return kind({"visual": codes}, (caption,), f"/films/{number // 4}.mp4", {}, f"{number // 4}.mp4")


def data_module(folder: Path, **settings: Any) -> Any:
    from videolm.tasks.training_data.lm_datamodule import LMDataModule

    shards = str(folder / "shards")
    return LMDataModule(str(folder / "model"), TASKS, shards=shards, batch_size=16, **settings)


def index(folder: Path) -> dict[str, Any]:
    """Seconds of the CPU and megabytes until the shards are open, divided and shared out among the tasks."""
    from videolm.data.codes.bucketed_shards import read_shards
    from videolm.tasks.training_data.clip_pools import Pools, divided
    from videolm.tasks.training_data.coded_clips import SizedClips
    from videolm.tasks.training_data.mixture import Mixture

    before, began = memory(os.getpid())["pss"], time.process_time()
    clips = SizedClips(read_shards(str(folder / "shards")))
    opened = time.process_time()
    training, _ = divided(clips, 0.05, 128, 0)
    pools = Pools(clips, training, Mixture(TASKS, [each.grid[0] for each in clips.formats], 0))
    done = time.process_time()
    return {
        "clips": len(clips),
        "trained_on": sum(pools.sizes),
        "cpu_seconds_to_open": round(opened - began, 2),
        "cpu_seconds_to_divide": round(done - opened, 2),
        "mb": memory(os.getpid())["pss"] - before,
    }


def start(folder: Path) -> dict[str, Any]:
    """Seconds until a data module is made and its first batch is there."""
    began = time.monotonic(), time.process_time()
    data = data_module(folder, text_vocab_size=2048)
    made = time.monotonic(), time.process_time()
    next(iter(data.train_dataloader()))
    data.amount()
    done = time.monotonic(), time.process_time()
    if not (folder / "model" / "text_tokenizer").is_dir():
        data.text_tokenizer.save_pretrained(folder / "model" / "text_tokenizer")
    return {
        "clips": len(data.clips),
        "seconds_to_data_module": round(made[0] - began[0], 2),
        "seconds_to_first_batch": round(done[0] - began[0], 2),
        "cpu_seconds": round(done[1] - began[1], 2),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def workers(folder: Path, count: int = 2, batches: int = 400) -> dict[str, Any]:
    """Proportional set size of a loader's workers, after the first batches and after more."""
    data = data_module(folder, num_workers=count)
    loader = iter(data.train_dataloader())
    found = []
    batches = min(batches, len(loader))
    for number, _ in zip(range(batches), loader, strict=False):
        if number in (4, batches - 1):
            found.append([memory(each.pid) for each in loader._workers])
    return {"clips": len(data.clips), "process_mb": memory(os.getpid()), "first": found[0], "later": found[1]}


def memory(process: int) -> dict[str, int]:
    """Megabytes of a process: its proportional share, and what is its own alone."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines}
    return {"pss": sizes["Pss"], "own": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def packing(folder: Path) -> dict[str, Any]:
    """Distinct clips among as many examples as there are clips, and how full rows are."""
    data = data_module(folder, batching="packed", row_tokens=512)
    batches, seen = data._training_batches(), Counter[int]()
    plain = batches.examples._index

    def noted(draw: Any, number: int) -> int:
        seen[index := plain(draw, number)] += 1
        return index

    batches.examples._index = noted
    examples = padding = steps = 0
    began = time.process_time()
    while examples < len(data.training):
        batch = batches[steps]
        examples, padding, steps = examples + len(batch.tasks), padding + batch.padding_share, steps + 1
    return {
        "clips": len(data.training),
        "examples": examples,
        "share_of_clips_shown": round(len(seen) / len(data.training), 4),
        "padding": round(padding / steps, 4),
        "ms_an_example": round(1000 * (time.process_time() - began) / examples, 3),
    }


def checksums(_: Path) -> dict[str, Any]:
    """Seconds of the first use of every shard, in the first process of a machine and in the next one."""
    from videolm.data.codes.clip_format import ClipFormat
    from videolm.data.codes.shards import CodedClip, ShardReader, ShardWriter

    with tempfile.TemporaryDirectory() as place:
        clips = ClipFormat(128, 128, 17, 8.0, (5, 16, 16), 4, (512, 512), "random")
        writer, codes = ShardWriter(place, clips, {"source": "random"}), torch.randint(2**18, (5, 16, 16))
        for number in range(32):
            clip = CodedClip({"visual": codes}, ("a caption",), "x", {}, f"{number}")
            writer.write(number, [clip] * SHARD)
        writer.finish()
        seconds = []
        for _again in range(2):
            reader = ShardReader(place)
            began = time.process_time()
            for number in range(32):
                reader[number * SHARD]
            seconds.append(round(time.process_time() - began, 3))
    return {"shards": 32, "mb": 32 * SHARD * 1280 * 4 >> 20, "first": seconds[0], "next": seconds[1]}


def texts(_: Path) -> dict[str, Any]:
    """Captions a second of a T5 of the size of t5-small with random weights, alone and read together."""
    import io

    from sentencepiece import SentencePieceTrainer
    from transformers import T5Config, T5EncoderModel

    from videolm.tokenizers.text.frozen_encoder import TextEncoder

    captions = [coded(lambda _, texts, *rest: texts[0], number, torch.zeros(1)) for number in range(256)]
    with tempfile.TemporaryDirectory() as place:
        written = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(captions), model_writer=written, vocab_size=200, hard_vocab_limit=False,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=3, num_threads=1,
        )  # fmt: skip
        T5EncoderModel(T5Config(vocab_size=32128)).save_pretrained(place)
        Path(place, "spiece.model").write_bytes(written.getvalue())
        encoder = TextEncoder.open(place)
        rates = {}
        for together in (1, 64):
            began = time.process_time()
            for start in range(0, 128, together):
                if together == 1:
                    encoder.encode(captions[start], 64)
                else:
                    encoder.encode_batch(captions[start : start + together], 64)
            rates[f"captions_a_second_{together}_together"] = round(128 / (time.process_time() - began), 1)
    return rates


def media(_: Path) -> dict[str, Any]:
    """Windows a second of films of 128x128, read in this process and in a killable one."""
    from videolm.data.loading.clip_reader import ClipReader, WindowReader
    from videolm.data.loading.guarded_reader import GuardedReader
    from videolm.data.loading.probes import Probes
    from videolm.data.media.clip import write_clip
    from videolm.data.sources.entry import Entry
    from videolm.data.synthetic.corpus import Corpus

    corpus = Corpus(height=128, width=128, num_frames=34, fps=17.0)
    with tempfile.TemporaryDirectory() as place:
        entries = [Entry(Path(place, f"{number}.mp4")) for number in range(8)]
        for number, entry in enumerate(entries):
            write_clip(corpus[number], entry.path)
        rates = {}
        for name, reader in (("in_this_process", ClipReader), ("apart", GuardedReader)):
            files = WindowReader(reader(17.0, None, needs_sound=False), entries, Probes(entries), 0)
            files.read(0, 128, 128, 17)
            began = time.monotonic()
            for number in range(64):
                assert not isinstance(files.read(number % 8, 128, 128, 17, 0.5), str)
            rates[f"windows_a_second_{name}"] = round(64 / (time.monotonic() - began), 1)
    return rates


COMMANDS = {each.__name__: each for each in (index, start, workers, packing, checksums, texts, media)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["make", *COMMANDS])
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--clips", type=int, default=1_000_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "make":
        print(json.dumps(make(given.folder, given.clips)))
    else:
        print(json.dumps(COMMANDS[given.command](given.folder)))


if __name__ == "__main__":
    main()
