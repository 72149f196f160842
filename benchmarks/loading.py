"""How fast do clips and codes come off the disk, beside the plain loaders of Hugging Face and WebDataset?

    python -m benchmarks.loading            # all contestants, one process each

Codes: 4,096 clips of 1,280 visual codes and a caption, in random order where the format allows it. Films: 48
films of 34 frames 128x128 with sound, of which 17 frames at their rate are decoded, by all with the same
function (both libraries leave the decoding to others), so that what differs is the way to the bytes.

WebDataset needs an environment with the package `webdataset`; where it is missing its rows are left out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

CODES, FILMS = 4096, 48
GRID = (5, 16, 16)


def make(folder: Path) -> None:
    """The same codes and films in the format of every contestant."""
    import datasets

    from videolm.data.codes.clip_format import ClipFormat
    from videolm.data.codes.shards import CodedClip, ShardWriter
    from videolm.data.media.clip import write_clip
    from videolm.data.synthetic.corpus import Corpus

    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(2**18, (CODES, *GRID), generator=generator)
    clips = ClipFormat(128, 128, 17, 8.0, GRID, 4, (512, 512), "random")
    writer = ShardWriter(folder / "shards", clips, {"source": "random"})
    for number in range(CODES // 512):
        part = codes[512 * number : 512 * (number + 1)]
        writer.write(number, [CodedClip({"visual": each}, ("a caption",), "x") for each in part])
    writer.finish()
    rows = {"visual": codes.flatten(1).tolist(), "caption": ["a caption"] * CODES}
    datasets.Dataset.from_dict(rows).save_to_disk(folder / "dataset")
    parts = [{".npy": _npy(each), ".txt": b"a caption"} for each in codes]
    _write_tar(folder / "codes.tar", {f"{number:05d}": each for number, each in enumerate(parts)})
    corpus = Corpus(height=128, width=128, num_frames=34, fps=17.0, sample_rate=16000)
    (folder / "films").mkdir()
    for number in range(FILMS):
        write_clip(corpus[number], folder / "films" / f"{number:05d}.mp4")
    films = sorted((folder / "films").iterdir())
    parts = [{".mp4": path.read_bytes(), ".txt": b"a caption"} for path in films]
    _write_tar(folder / "films.tar", {path.stem: each for path, each in zip(films, parts, strict=True)})
    rows = {"video": [{"bytes": path.read_bytes(), "path": None} for path in films]}
    datasets.Dataset.from_dict(rows).save_to_disk(folder / "film_dataset")


def _npy(codes: torch.Tensor) -> bytes:
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, codes.to(torch.int32).numpy())
    return file.getvalue()


def _write_tar(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    import io
    import tarfile

    with tarfile.open(path, "w") as archive:
        for key, parts in samples.items():
            for suffix, data in parts.items():
                header = tarfile.TarInfo(key + suffix)
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))


def _order(count: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(1)).tolist()


def videolm_codes(folder: Path) -> Iterator[torch.Tensor]:
    from videolm.data.codes.shards import ShardReader

    reader = ShardReader(folder / "shards")
    return (reader[index].codes["visual"] for index in _order(len(reader)))


def huggingface_codes(folder: Path) -> Iterator[torch.Tensor]:
    import datasets

    rows = datasets.load_from_disk(str(folder / "dataset")).with_format("torch")
    return (rows[index]["visual"].reshape(GRID) for index in _order(len(rows)))


def huggingface_codes_streamed(folder: Path) -> Iterator[torch.Tensor]:
    import datasets

    rows = datasets.load_from_disk(str(folder / "dataset")).to_iterable_dataset().with_format("torch")
    return (row["visual"].reshape(GRID) for row in rows)


def webdataset_codes(folder: Path) -> Iterator[torch.Tensor]:
    """In the order of the tar, with a shuffle buffer."""
    import webdataset

    samples = webdataset.WebDataset(str(folder / "codes.tar"), shardshuffle=False).shuffle(1000).decode()
    return (torch.from_numpy(sample["npy"]).long() for sample in samples)


def _decoded(media: Any) -> torch.Tensor:
    from videolm.data.media.reading import read_clip

    return read_clip(media, num_frames=17, height=128, width=128, sample_rate=16000).frames


def videolm_films(folder: Path) -> Iterator[torch.Tensor]:
    from videolm.data.sources.manifest import read_manifest

    return (_decoded(entry.media) for entry in read_manifest(folder / "films"))


def videolm_tar_films(folder: Path) -> Iterator[torch.Tensor]:
    from videolm.data.sources.manifest import read_manifest

    return (_decoded(entry.media) for entry in read_manifest(folder / "films.tar"))


def huggingface_films(folder: Path) -> Iterator[torch.Tensor]:
    import datasets

    from videolm.data.media.streams import Blob

    rows = datasets.load_from_disk(str(folder / "film_dataset"))
    return (_decoded(Blob("film", row["video"]["bytes"])) for row in rows)


def webdataset_films(folder: Path) -> Iterator[torch.Tensor]:
    import webdataset

    from videolm.data.media.streams import Blob

    samples = webdataset.WebDataset(str(folder / "films.tar"), shardshuffle=False)
    return (_decoded(Blob("film", sample["mp4"])) for sample in samples)


CONTESTANTS = {
    each.__name__: each
    for each in (
        videolm_codes, huggingface_codes, huggingface_codes_streamed, webdataset_codes,
        videolm_films, videolm_tar_films, huggingface_films, webdataset_films,
    )
}  # fmt: skip


def measure(name: str, folder: Path) -> dict[str, float]:
    """Items a CPU second, of the second pass in a process."""
    for _ in range(2):
        start, wall, count = time.process_time(), time.monotonic(), 0
        for item in CONTESTANTS[name](folder):
            count += len(item) > 0
        seconds = time.process_time() - start
    return {"items": count, "per_cpu_second": count / seconds, "seconds": time.monotonic() - wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contestant", choices=CONTESTANTS)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.contestant:
        print(json.dumps(measure(given.contestant, given.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        for name in CONTESTANTS:
            command = [sys.executable, "-m", "benchmarks.loading", "--contestant", name, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name:28} left out: {done.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            result = json.loads(done.stdout.splitlines()[-1])
            rate = f"{result['per_cpu_second']:10.1f} a CPU second"
            print(f"{name:28} {result['items']:6.0f} items  {rate}", flush=True)


if __name__ == "__main__":
    main()
