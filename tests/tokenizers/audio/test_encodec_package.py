"""Files of the package `encodec`; what compares with the package itself runs where it is installed.

`make test` runs this file once more in an environment with the package.
"""

import io
import json
import pickle
import re
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from videolm.cli.main import main
from videolm.data.media.reading import read_waveform
from videolm.tokenizers.audio import encodec_package
from videolm.tokenizers.audio.codec import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.audio.encodec_package import (
    decode_ecdc,
    import_package,
    read_checkpoint,
    read_ecdc,
)
from videolm.tokenizers.audio.foreign import adopt, first_levels
from videolm.tokenizers.audio.protocol import as_codec

needs_package = pytest.mark.skipif(
    find_spec("encodec") is None, reason="the package encodec is not installed (make test has an environment)"
)
PARAMETERS = 14_851_810  # of the 24 kHz model: Défossez et al. 2022's released one, as the package counts it


def noise(samples: int) -> torch.Tensor:
    return torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(samples)) / 4


@torch.no_grad()
def fill_codebooks(latents: torch.Tensor, entries: list[torch.Tensor]) -> None:
    """Entries (codes dim) from latents (1 dim frames): residuals that occur at each level, a little moved."""
    residual = latents[0].T
    for level in entries:
        chosen = residual[torch.randint(len(residual), (len(level),))]
        level.copy_(chosen + 0.05 * residual.std() * torch.randn_like(chosen))
        residual = residual - level[torch.cdist(residual, level).argmin(1)]


@pytest.fixture(scope="module")
def model() -> Any:
    """transformers' model of the package's sizes, with random weights."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig()).eval()
    with torch.no_grad():
        latents = model.encoder(noise(320 * 500))
    fill_codebooks(latents, [layer.codebook.embed for layer in model.quantizer.layers])
    return model


def their_name(name: str) -> str:
    """A weight of transformers' model as the package calls it."""
    name = name.replace("parametrizations.weight.original0", "weight_g")
    name = name.replace("parametrizations.weight.original1", "weight_v")
    name = re.sub(r"^quantizer\.layers\.(\d+)\.codebook", r"quantizer.vq.layers.\1._codebook", name)
    if name.startswith("quantizer"):
        return name
    upsampling = re.match(r"decoder\.layers\.(3|6|9|12)\.conv\.", name)
    name = name.replace(".conv.", ".convtr.convtr." if upsampling else ".conv.conv.")
    return name.replace("coder.layers.", "coder.model.")


@pytest.fixture(scope="module")
def checkpoint(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "encodec_24khz-00000000.th"
    torch.save({their_name(name): value for name, value in model.state_dict().items()}, path)
    return path


def test_a_checkpoint_becomes_transformers_model_weight_by_weight(model, checkpoint):
    read = read_checkpoint(checkpoint)
    assert not read.training
    assert sum(weight.numel() for weight in read.parameters()) == PARAMETERS
    expected = model.state_dict()
    assert read.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in read.state_dict().items())


def test_a_checkpoint_is_adopted_with_its_first_levels(model, checkpoint, tmp_path):
    adopted = adopt(str(checkpoint), tmp_path / "audio_tokenizer", 2)
    waveform = noise(320 * 5)
    codes = as_codec(model).encode(waveform)
    assert codes.shape == (1, 32, 5)
    assert torch.equal(adopted.encode(waveform), codes[:, :2])


class Malicious:
    """Pickled, it writes a file where it is read."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


def test_other_files_are_no_checkpoints(checkpoint, tmp_path):
    path = tmp_path / "weights.th"
    with pytest.raises(FileNotFoundError, match=r"weights\.th"):
        read_checkpoint(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a checkpoint of weights alone"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "trace"), protocol=2))
    with pytest.raises(ValueError, match="not a checkpoint of weights alone"):
        read_checkpoint(path)
    assert not (tmp_path / "trace").exists()
    torch.save([torch.zeros(3)], path)
    with pytest.raises(ValueError, match="dictionary of tensors"):
        read_checkpoint(path)
    weights = torch.load(checkpoint, weights_only=True)
    weights.pop("decoder.model.1.lstm.bias_hh_l0")
    torch.save(weights, path)
    with pytest.raises(ValueError, match="does not hold encodec's mono 24 kHz model"):
        read_checkpoint(path)


def ecdc(codes: torch.Tensor, samples: int, **changes: Any) -> bytes:
    """An .ecdc file of codes (levels frames): one long number, ten bits for each code, the lowest first."""
    header = {"m": "encodec_24khz", "al": samples, "nc": len(codes), "lm": False} | changes
    text = json.dumps(header).encode()
    number = sum(code << (10 * index) for index, code in enumerate(codes.T.reshape(-1).tolist()))
    packed = number.to_bytes(-(-codes.numel() * 10 // 8), "little")
    return b"ECDC" + struct.pack("!BI", 0, len(text)) + text + packed


@pytest.mark.parametrize(("levels", "samples"), [(1, 1), (2, 320), (8, 321), (32, 3200)])
def test_packed_codes_are_read(tmp_path, levels, samples):
    codes = torch.randint(1024, (levels, -(-samples // 320)), generator=torch.Generator().manual_seed(levels))
    (tmp_path / "sound.ecdc").write_bytes(ecdc(codes, samples))
    sound = read_ecdc(tmp_path / "sound.ecdc")
    assert torch.equal(sound.codes, codes) and sound.num_samples == samples


def test_compressed_sound_is_decoded_to_its_own_length(model, tmp_path):
    codes = torch.randint(1024, (4, 5))
    (tmp_path / "sound.ecdc").write_bytes(ecdc(codes, 1500))
    codec = as_codec(model)
    assert torch.equal(decode_ecdc(tmp_path / "sound.ecdc", codec), codec.decode(codes[None])[0, :, :1500])


SILENT = torch.zeros(2, 3, dtype=torch.int64)
BROKEN = {
    "another file": (b"RIFF" + bytes(40), "not an .ecdc file"),
    "nothing": (b"", "not an .ecdc file"),
    "cut in the header": (ecdc(SILENT, 960)[:20], "broken header"),
    "cut in the codes": (ecdc(SILENT, 960)[:-1], "ends too early: 7 bytes of codes, expected 8"),
    "more sound than codes": (ecdc(SILENT, 10**12), "ends too early"),
    "the stereo model": (ecdc(SILENT, 960, m="encodec_48khz"), "made by encodec_48khz"),
    "too many levels": (ecdc(SILENT, 960, nc=33), "states 33 levels"),
    "no levels": (ecdc(SILENT, 960, nc=0), "states 0 levels"),
    "length of another type": (ecdc(SILENT, 960, al="long"), "without model, samples"),
    "entropy-coded": (ecdc(SILENT, 960, lm=True), "checkpoint of encodec's language model"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_other_files_are_refused(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / "sound.ecdc").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_ecdc(tmp_path / "sound.ecdc")


def test_tokenizers_that_cannot_decode_the_file_are_refused(model, tmp_path):
    path = tmp_path / "sound.ecdc"
    path.write_bytes(ecdc(torch.zeros(8, 3, dtype=torch.int64), 960))
    with pytest.raises(ValueError, match="8 levels and the tokenizer 2; adopt one with --levels 8"):
        decode_ecdc(path, as_codec(first_levels(model, 2)))
    other = AudioTokenizer.of_config(AudioTokenizerConfig(num_filters=4, hidden_size=8))
    with pytest.raises(ValueError, match="the tokenizer has 16000 Hz"):
        decode_ecdc(path, other)


def test_a_missing_package_is_named_with_its_licence(monkeypatch):
    monkeypatch.setattr(encodec_package, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"CC BY-NC 4\.0\): pip install 'videolm\[encodec\]'"):
        import_package()


def test_the_commands_adopt_a_checkpoint_and_decode_a_file(checkpoint, tmp_path, capsys):
    run, target = tmp_path / "run", tmp_path / "sound.wav"
    assert main(["audio", "adopt", str(checkpoint), "--out", str(run)]) == 0
    assert "24000 Hz, 75 latents a second, 4 levels of 1024 codes" in capsys.readouterr().out
    (tmp_path / "sound.ecdc").write_bytes(ecdc(torch.randint(1024, (4, 75)), 23_999))
    command = ["audio", "decode", str(tmp_path / "sound.ecdc"), str(target), "--model", str(run / "model")]
    assert main(command) == 0
    waveform, sample_rate = read_waveform(target)
    assert waveform.shape == (1, 23_999) and sample_rate == 24_000


def broken_torchaudio(folder: Path, error: str) -> None:
    """A package as torchaudio is laid out, whose compiled part cannot be loaded."""
    extension = folder / "torchaudio" / "_extension"
    extension.mkdir(parents=True)
    (extension / "__init__.py").write_text(f"from .utils import load\nload()\nraise {error}\n")
    (extension / "utils.py").write_text("def load():\n    pass\n")
    (folder / "torchaudio" / "__init__.py").write_text(
        "from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, fail_if_no_align\n"
        "@fail_if_no_align\ndef align(waveform):\n    return waveform\n"
    )


@pytest.mark.parametrize(
    ("error", "guarded", "outcome"),
    [
        ("OSError('libc10_cuda.so')", True, "False RuntimeError"),
        ("OSError('libc10_cuda.so')", False, "OSError"),
        ("ValueError('another mistake')", True, "ValueError"),
    ],
)
def test_torchaudio_is_imported_without_the_part_that_cannot_be_loaded(tmp_path, error, guarded, outcome):
    broken_torchaudio(tmp_path, error)
    code = f"""
import sys
from videolm.tokenizers.audio.torchaudio_guard import tolerate_torchaudio
sys.path.insert(0, {str(tmp_path)!r})
if {guarded}:
    tolerate_torchaudio()
    tolerate_torchaudio()
    assert len([each for each in sys.meta_path if type(each).__name__ == "_Finder"]) == 1
try:
    import torchaudio
    print(torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE, end=" ")
    torchaudio.align(1)
except Exception as error:
    print(type(error).__name__)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == outcome


@pytest.fixture(scope="module")
def package_model() -> Any:
    """The package's own 24 kHz model, with random weights."""
    package = import_package()
    torch.manual_seed(0)
    model = package.EncodecModel.encodec_model_24khz(pretrained=False)
    with torch.no_grad():
        latents = model.encoder(noise(320 * 500))
    layers = [layer._codebook for layer in model.quantizer.vq.layers]
    fill_codebooks(latents, [layer.embed for layer in layers])
    for layer in layers:
        layer.inited.fill_(1)
    model.name = "encodec_24khz"
    return model


@pytest.fixture(scope="module")
def package_checkpoint(package_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "encodec_24khz-00000000.th"
    torch.save(package_model.state_dict(), path)
    return path


@needs_package
def test_the_packages_model_and_ours_give_the_same_codes_and_sound(package_model, package_checkpoint):
    ours = as_codec(read_checkpoint(package_checkpoint))
    assert sum(weight.numel() for weight in package_model.parameters()) == PARAMETERS
    for levels, bandwidth in {2: 1.5, 8: 6.0, 32: 24.0}.items():
        package_model.set_target_bandwidth(bandwidth)
        waveform = noise(320 * 30)
        with torch.no_grad():
            ((codes, _),) = package_model.encode(waveform)
            sound = package_model.decode([(codes, None)])
        assert codes.shape == (1, levels, 30) and len(codes.unique()) > 20
        assert torch.equal(ours.encode(waveform)[:, :levels], codes)
        assert torch.allclose(ours.decode(codes), sound, atol=1e-6)


@needs_package
@pytest.mark.parametrize("samples", [320 * 20, 5_001])
def test_compressed_sound_is_what_the_package_decompresses(
    package_model, package_checkpoint, tmp_path, monkeypatch, samples
):
    compress = import_package("encodec.compress")
    monkeypatch.setitem(compress.MODELS, "encodec_24khz", lambda: package_model)
    package_model.set_target_bandwidth(3.0)
    content = compress.compress(package_model, noise(samples)[0], use_lm=False)
    (tmp_path / "sound.ecdc").write_bytes(content)
    theirs, sample_rate = compress.decompress(content)
    ours = decode_ecdc(tmp_path / "sound.ecdc", as_codec(read_checkpoint(package_checkpoint)))
    assert sample_rate == 24_000 and ours.shape == theirs.shape == (1, samples)
    assert torch.allclose(ours, theirs, atol=1e-6)


@needs_package
def test_entropy_coded_sound_is_decoded_with_the_packages_language_model(
    package_model, tmp_path, monkeypatch
):
    compress = import_package("encodec.compress")
    torch.manual_seed(0)
    sizes = {"num_layers": 5, "dim": 200, "past_context": 262}
    lm = import_package("encodec.model").LMModel(32, 1024, **sizes).eval()
    monkeypatch.setattr(package_model, "get_lm_model", lambda: lm)
    torch.save(lm.state_dict(), tmp_path / "lm.th")
    package_model.set_target_bandwidth(3.0)
    waveform = noise(320 * 12)
    content = io.BytesIO()
    compress.compress_to_file(package_model, waveform[0], content, use_lm=True)
    path = tmp_path / "sound.ecdc"
    path.write_bytes(content.getvalue())
    with torch.no_grad():
        ((codes, _),) = package_model.encode(waveform)
    assert torch.equal(read_ecdc(path, tmp_path / "lm.th").codes, codes[0])
    path.write_bytes(content.getvalue()[:-20])
    with pytest.raises(ValueError, match=r"ends too early: \d+ of 48 codes"):
        read_ecdc(path, tmp_path / "lm.th")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "lm.th")
    with pytest.raises(ValueError, match="does not hold encodec's language model"):
        read_ecdc(path, tmp_path / "lm.th")


@needs_package
def test_mimi_is_read_beside_the_packages_torchaudio(tmp_path):
    # In a process of its own: nothing else may have imported transformers' model before the guard stands.
    code = """
from videolm.tokenizers.audio.torchaudio_guard import tolerate_torchaudio
tolerate_torchaudio()
from transformers import MimiModel
import torchaudio.functional
print(MimiModel.__name__)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "MimiModel", result.stderr
