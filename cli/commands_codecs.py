"""The commands that run a tokenizer alone: code, decode and reconstruct files, adopt a codec."""

from pathlib import Path

from ..data.runtime.model_source import model_folder


def tokenizer_reconstruct(
    source: Path,
    target: Path,
    *,
    model: str,
    tile: int = 0,
    height: int | None = None,
    width: int | None = None,
    fps: float | None = None,
) -> list[Path]:
    """Encode a video, decode it again and write the result, with what the codes cost and lose.

    A video of any length is padded to whole blocks of the tokenizer and cut again. It is resized to what the
    tokenizer was trained on, where that says so and --tile is not given.

    Args:
        source: a video or an image.
        target: file to write; the suffix names the format.
        model: model folder with a video_tokenizer and, to code the sound too, an audio_tokenizer.
        tile: code large frames in overlapping tiles of so many pixels, to save memory; 0 for whole frames.
        height: of the frames, with --width, if not as the tokenizer was trained.
        width: likewise.
        fps: frames per second, likewise.
    """
    from ..data.codes.trained_clips import ClipSize
    from ..evaluation.reconstruct import reconstruct_file

    size = ClipSize(height=height, width=width, fps=fps)
    return [reconstruct_file(source, target, model_folder(model), tile, size)]


def tokenizer_encode(source: Path, target: Path, *, model: str) -> list[Path]:
    """Write the codes of a video's pictures, without its sound, as one small file.

    Args:
        source: a video or an image, of any length and size.
        target: file to write; its name ends in .codes.
        model: model folder with a video_tokenizer.
    """
    from ..evaluation.reconstruct import encode_file

    return [encode_file(source, target, model_folder(model, "video_tokenizer"))]


def tokenizer_decode(source: Path, target: Path, *, model: str) -> list[Path]:
    """Write the video of a file of codes; it has no sound.

    Args:
        source: a file that `videolm tokenizer encode` wrote.
        target: file to write; the suffix names the format.
        model: model folder with the video_tokenizer that made the codes.
    """
    from ..evaluation.reconstruct import decode_file

    return [decode_file(source, target, model_folder(model, "video_tokenizer"))]


def audio_reconstruct(source: Path, target: Path, *, model: str) -> list[Path]:
    """Encode a sound, decode it again and write the result, with what the codes cost and lose.

    Prints seconds, bits per second, SI-SDR and log-mel distance. The sound is mixed to one channel.

    Args:
        source: any media file with sound.
        target: a .wav for the sound alone, or an .mp4 or .webm for the pictures with the decoded sound.
        model: model folder with an audio_tokenizer.
    """
    from ..evaluation.audio_reconstruct import reconstruct_sound

    return [reconstruct_sound(source, target, model_folder(model, "audio_tokenizer"))]


def audio_decode(source: Path, target: Path, *, model: str, lm: Path | None = None) -> list[Path]:
    """Write the sound of a compressed file (.ecdc) of the package encodec.

    Args:
        source: a file of its 24 kHz model.
        target: .wav file to write.
        model: model folder whose audio_tokenizer is that model, with as many levels as the file or more.
        lm: checkpoint of encodec's language model, for files that were entropy-coded with it.
    """
    import torch

    from ..data.media.clip import Clip, write_clip
    from ..data.media.targets import check_target
    from ..tokenizers.audio.encodec_package import SAMPLE_RATE, decode_ecdc
    from ..tokenizers.audio.protocol import load_audio_tokenizer

    check_target(target)
    waveform = decode_ecdc(source, load_audio_tokenizer(model), lm)
    no_frames = torch.zeros(0, 1, 1, 3, dtype=torch.uint8)
    write_clip(Clip(no_frames, 1.0, waveform, SAMPLE_RATE), target)
    return [target]


def audio_adopt(source: str, *, out: Path, levels: int | None = None) -> list[Path]:
    """Make a pretrained audio codec the audio tokenizer of a run, in the place of one trained there.

    Args:
        source: a folder of transformers' EncodecModel, DacModel or MimiModel; its name on Hugging Face's hub,
            such as descript/dac_16khz; or a checkpoint (.th) of the package encodec.
        out: run folder; writes OUT/model/audio_tokenizer.
        levels: residual levels to keep; 4 if not given, 8 of a Mimi.
    """
    from ..tokenizers.audio.foreign import adopt

    target = out / "model" / "audio_tokenizer"
    codec = adopt(source, target, levels)
    rate, sizes = codec.sample_rate / codec.hop_length, codec.codebook_sizes
    print(f"{codec.sample_rate} Hz, {rate:g} latents a second, {len(sizes)} levels of {sizes[0]} codes")
    return [target]
