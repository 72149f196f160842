"""Captioners, `videolm data caption` and `videolm generate --expand`; the server is one on this machine."""

import base64
import io
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch
from PIL import Image

from videolm.cli.main import main
from videolm.data.analysis.keyframes import spread_frames
from videolm.data.curation import captioning as recaptioning
from videolm.data.curation.captioner import Unanswered, Unreachable, Unusable
from videolm.data.curation.captioning import AGAIN, PROMPT, caption_source
from videolm.data.curation.open_captioner import captioner_of
from videolm.data.curation.openai_captioner import KEY, RetryPolicy, ServerCaptioner
from videolm.data.media.clip import Clip, write_clip
from videolm.data.media.streams import MediaError
from videolm.data.sources.entry import Entry
from videolm.data.sources.manifest import read_manifest
from videolm.generation.pipeline import VideoLM
from videolm.generation.prompt_expansion import fitting
from videolm.tasks.task import load_task

COLOURS = ("red", "green", "blue")
IMPATIENT = RetryPolicy(seconds=30.0, pauses=(0.0, 0.0))


def completion(text) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def pictures_of(request: dict) -> list[np.ndarray]:
    parts = [part for part in request["messages"][0]["content"] if part["type"] == "image_url"]
    urls = [part["image_url"]["url"].removeprefix("data:image/jpeg;base64,") for part in parts]
    return [np.array(Image.open(io.BytesIO(base64.b64decode(url)))) for url in urls]


def colour_of(request: dict) -> str:
    return COLOURS[int(np.mean(pictures_of(request), axis=(0, 1, 2)).argmax())]


class ChatServer(ThreadingHTTPServer):
    """Keeps what it is asked and answers with `reply(request) -> (status, headers, body)`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/v1"
        self.requests: list[dict] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.reply = self.describe

    def handle_error(self, *_):
        """A client that has given up is no error."""

    @staticmethod
    def describe(request: dict) -> tuple[int, dict, bytes]:
        return 200, {}, completion(f'"a field,\n all {colour_of(request)}"')


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers.get("Authorization"))
        status, headers, body = self.server.reply(request)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(KEY, raising=False)
    served = ChatServer()
    Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def reading_here(monkeypatch):
    """Files are read without a process of their own, to save its start."""

    def map_here(function, indices, *_):
        return map(function, indices)

    monkeypatch.setattr(recaptioning, "map_in_processes", map_here)


def film(colour: int, num_frames: int = 8, size: int = 32) -> Clip:
    frames = torch.zeros(num_frames, size, size, 3, dtype=torch.uint8)
    frames[..., colour] = torch.arange(num_frames).mul(4).add(180).to(torch.uint8)[:, None, None]
    return Clip(frames, 8.0)


@pytest.fixture
def films(tmp_path) -> Path:
    """A folder of six films of one colour each, two of them with captions, and a file that is none."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(6):
        write_clip(film(number % 3), folder / f"{number}.mp4")
    (folder / "0.txt").write_text("red")
    (folder / "1.json").write_text('{"caption": ["green", "vert"], "take": 2}')
    (folder / "text.mp4").write_text("no film")
    return folder


def test_a_list_has_long_captions_beside_those_that_were_there(films, server, tmp_path, capsys):
    out = tmp_path / "list.jsonl"
    words = ["--endpoint", server.address, "--model-name", "looker", "--frames", "3"]
    assert main(["data", "caption", str(films), "--out", str(out), *words]) == 0
    printed = capsys.readouterr().out
    assert "6 clips with long captions, 6 of them new" in printed
    assert "without: 1" in printed and f"{films / 'text.mp4'}: " in printed
    entries = read_manifest(out)
    assert [entry.captions for entry in entries] == [("red",), ("green", "vert"), (), (), (), ()]
    assert [entry.extra["long_caption"] for entry in entries] == [
        f"a field, all {COLOURS[number % 3]}" for number in range(6)
    ]
    assert entries[1].extra["take"] == 2 and entries[0].path == films / "0.mp4"
    assert set(server.paths) == {"/v1/chat/completions"} and server.requests[0]["model"] == "looker"
    assert server.requests[0]["messages"][0]["content"][-1] == {"type": "text", "text": PROMPT}
    pictures = pictures_of(server.requests[0])
    assert [picture.shape for picture in pictures] == [(32, 32, 3)] * 3
    assert np.all(np.diff([picture.mean() for picture in pictures]) > 0)  # in order


def test_a_run_that_was_killed_goes_on_without_a_lost_or_doubled_line(
    films, server, tmp_path, capsys, reading_here, start_forked
):
    out = tmp_path / "list.jsonl"
    named = ["--endpoint", server.address, "--model-name", "looker"]
    killed = ["data", "caption", str(films), "--out", str(out), *named]
    asked, is_over = Event(), Event()

    def waiting(request):
        if len(server.requests) >= 5:
            asked.set()
            is_over.wait()
        return server.describe(request)

    server.reply = waiting
    process = start_forked(main, killed)
    assert asked.wait(60)
    process.kill()
    process.join()
    is_over.set()
    part = tmp_path / "list.jsonl.part"
    assert len(part.read_bytes().splitlines()) == 4 and not out.exists()
    with part.open("ab") as file:
        file.write(b'{"path": "half a li')
    server.reply = server.describe
    server.requests.clear()
    assert main(killed) == 0
    assert "6 clips with long captions, 2 of them new" in capsys.readouterr().out
    assert len(server.requests) == 2
    lines = [(entry.path.name, entry.extra["long_caption"]) for entry in read_manifest(out)]
    assert lines == [(f"{number}.mp4", f"a field, all {COLOURS[number % 3]}") for number in range(6)]
    assert not part.exists()


def test_a_list_of_another_captioner_or_source_is_left_alone(films, server, tmp_path, reading_here):
    out = tmp_path / "list.jsonl"
    (films / "text.mp4").unlink()
    first = ServerCaptioner(server.address, "first", IMPATIENT)
    second = ServerCaptioner(server.address, "second", IMPATIENT)
    caption_source(str(films / "0.mp4"), {}, out, first)
    content = out.read_bytes()
    assert caption_source(str(films / "0.mp4"), {}, out, first).new == 0
    for source, captioner, prompt, said in (
        (films / "0.mp4", second, None, "captioner first .*, now second .*"),
        (films / "0.mp4", first, "In one word?", r"captioner first \w+, now first \w+"),
        (films / "1.mp4", first, None, r"clip .*0\.mp4, now not in the source"),
    ):
        with pytest.raises(ValueError, match=f"holds captions made with .*{said}: choose another place"):
            caption_source(str(source), {}, out, captioner, prompt)
    original = films / "captions.jsonl"
    original.write_text('{"path": "0.mp4", "caption": "red"}')
    with pytest.raises(ValueError, match="holds captions made with captioner None, now first"):
        caption_source(str(films), {}, original, first)
    assert out.read_bytes() == content and len(server.requests) == 1
    assert original.read_text() == '{"path": "0.mp4", "caption": "red"}'


def test_clips_that_the_captioner_refuses_are_named_and_tried_again(films, server, tmp_path, reading_here):
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    server.reply = lambda request: (
        (400, {}, b"blue is not allowed") if colour_of(request) == "blue" else server.describe(request)
    )
    captioned = caption_source(str(films), {}, tmp_path / "list.jsonl", captioner)
    assert (captioned.captions, captioned.new, len(captioned.failures)) == (4, 4, 3)
    assert str(films / "2.mp4") in captioned.failures[0]
    assert captioned.failures[0].endswith("answers 400 Bad Request blue is not allowed")
    server.reply = server.describe
    again = caption_source(str(films), {}, tmp_path / "list.jsonl", captioner)
    assert (again.captions, again.new, len(again.failures)) == (6, 2, 1)
    assert [entry.path.name for entry in read_manifest(tmp_path / "list.jsonl")] == [
        f"{number}.mp4" for number in range(6)
    ]


def test_answers_that_are_no_captions_are_asked_for_again_and_then_left_out(
    films, server, tmp_path, reading_here
):
    def reply(request):
        colour, asked = colour_of(request), request["messages"][0]["content"][-1]["text"]
        if colour == "red":
            return 200, {}, completion("<think>I can't tell.</think>**Caption:** a red field")
        if colour == "green":
            return 200, {}, completion("a green field" if AGAIN in asked else "1. a field\n2. green")
        return 200, {}, completion("I'm sorry, but I can't help with that.")

    server.reply = reply
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    captioned = caption_source(str(films), {}, tmp_path / "list.jsonl", captioner)
    assert (captioned.captions, captioned.new, len(captioned.failures)) == (4, 4, 3)
    texts = [entry.extra["long_caption"] for entry in read_manifest(tmp_path / "list.jsonl")]
    assert texts == ["a red field", "a green field"] * 2
    assert "the answer is a refusal: \"I'm sorry" in captioned.failures[0]
    assert len(server.requests) == 2 + 2 * 2 + 2 * 2
    lines = (tmp_path / "list.jsonl").read_text().replace("a red field", "<think>a red field")
    (tmp_path / "list.jsonl").write_text(lines)
    server.requests.clear()
    assert caption_source(str(films), {}, tmp_path / "list.jsonl", captioner).new == 2  # kept by older rules
    assert "<think>" not in (tmp_path / "list.jsonl").read_text()


def test_an_answer_that_is_cut_off_gets_more_tokens_once(server):
    def reply(request):
        is_enough = request["max_tokens"] > 512 and "briefly" in request["messages"][0]["content"]
        text = "<think>hm</think>a field" if is_enough else "a field that goes on and"
        choice = {"message": {"content": text}, "finish_reason": "stop" if is_enough else "length"}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    server.reply = reply
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    assert captioner("Describe it briefly.") == "a field"
    with pytest.raises(Unusable, match="cut off"):
        captioner("Describe it.")
    assert [request["max_tokens"] for request in server.requests] == [512, 4096] * 2
    for message, reason in (
        ({"content": None, "refusal": "no"}, "stop"),
        ({"content": "a"}, "content_filter"),
    ):
        server.reply = lambda _, m=message, r=reason: (
            200, {}, json.dumps({"choices": [{"message": m, "finish_reason": r}]}).encode()
        )  # fmt: skip
        with pytest.raises(Unusable, match=r"refusal|filter"):
            captioner("Describe it.")


def test_a_captioner_that_only_refuses_ends_the_run(films, server, tmp_path, reading_here, monkeypatch):
    monkeypatch.setattr(recaptioning, "_MOST_UNUSABLE", 6)
    server.reply = lambda request: (200, {}, completion("I cannot describe this."))
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    with pytest.raises(Unreachable, match="failed 6 times running, lastly: the answer is a refusal"):
        caption_source(str(films), {}, tmp_path / "list.jsonl", captioner)


def test_a_server_that_fails_again_and_again_ends_the_run(films, server, tmp_path, reading_here):
    server.reply = lambda request: (500, {}, b"")
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    with pytest.raises(Unreachable, match=r"failed 5 times running, .* answers 500"):
        caption_source(str(films), {}, tmp_path / "list.jsonl", captioner)
    assert not (tmp_path / "list.jsonl").exists()


def test_requests_are_repeated_with_a_bound(server):
    captioner = ServerCaptioner(server.address, "looker", IMPATIENT)
    busy, broken = (503, {"Retry-After": "0"}, b""), (200, {}, b"no json")
    replies = iter([busy, broken, (200, {}, completion("at last"))])
    server.reply = lambda request: next(replies)
    assert captioner("Say something.") == "at last"
    assert server.requests[0]["messages"] == [{"role": "user", "content": "Say something."}]
    server.requests.clear()
    server.reply = lambda request: (429, {}, b"")
    with pytest.raises(Unanswered, match="429"):
        captioner("Say something.")
    assert len(server.requests) == 1 + len(IMPATIENT.pauses)


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        ((401, {}, b"no key"), Unreachable, "answers 401 Unauthorized no key"),
        ((404, {}, b""), Unreachable, "answers 404"),
        ((413, {}, b""), Unanswered, "answers 413"),
        ((200, {}, completion(" ")), Unanswered, "the answer is empty"),
        ((200, {}, completion(None)), Unanswered, "the answer is None; expected a text"),
    ],
)
def test_what_no_repetition_helps_is_not_repeated(server, reply, error, message):
    server.reply = lambda request: reply
    with pytest.raises(error, match=message):
        ServerCaptioner(server.address, "looker", IMPATIENT)("Say something.")
    assert len(server.requests) == 1


def test_a_key_goes_to_its_server_and_is_not_carried_elsewhere(server, monkeypatch):
    monkeypatch.setenv(KEY, "secret")
    captioner = ServerCaptioner(server.address + "/chat/completions", "looker", IMPATIENT)
    server.reply = lambda request: (307, {"Location": f"{server.address}/elsewhere"}, b"")
    with pytest.raises(Unreachable, match="answers 307"):
        captioner("Say something.")
    assert server.keys == ["Bearer secret"] and server.paths == ["/v1/chat/completions"]


def test_a_server_that_is_silent_or_endless_is_given_up(server, monkeypatch):
    monkeypatch.setattr("videolm.data.curation.openai_captioner._ANSWER_BYTES", 10_000)
    server.reply = lambda request: (200, {}, b" " * 20_000)
    with pytest.raises(Unanswered, match="does not come to an end"):
        ServerCaptioner(server.address, "looker", IMPATIENT)("Say something.")
    captioner = ServerCaptioner(server.address, "looker", RetryPolicy(seconds=0.2, pauses=(0.0,)))
    server.reply = lambda request: time.sleep(2) or (200, {}, completion("too late"))
    with pytest.raises(Unanswered, match="timed out"):
        captioner("Say something.")
    server.shutdown()
    server.server_close()
    with pytest.raises(Unreachable, match="gives no answer"):
        captioner("Say something.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the folder of a captioner"),
        (["--captioner", "x", "--endpoint", "http://127.0.0.1:1/v1"], "give the folder of a captioner"),
        (["--captioner", "nowhere"], "there is no folder nowhere with a captioner"),
        (["--captioner", "nowhere", "--model-name", "x"], "leave out the name 'x'"),
        (["--endpoint", "http://127.0.0.1:1/v1"], "say which by --model-name"),
        (["--endpoint", "file:///etc/passwd", "--model-name", "x"], "is no address"),
        (["--endpoint", "http://127.0.0.1:1/v1", "--model-name", "x", "--frames", "0"], "expected 1 or more"),
    ],
)
def test_captioners_that_make_no_sense_are_refused(words, message, tmp_path, capsys):
    assert main(["data", "caption", str(tmp_path), "--out", str(tmp_path / "l.jsonl"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_frames_are_spread_over_the_part_that_is_meant(tmp_path):
    write_clip(film(0, num_frames=16, size=64), tmp_path / "a.mp4")
    levels = spread_frames(Entry(tmp_path / "a.mp4"), 4)[..., 0].mean((1, 2))
    assert levels == pytest.approx(180 + 4 * np.array([2, 6, 10, 14]), abs=6)
    late = spread_frames(Entry(tmp_path / "a.mp4", start=1.0), 2)[..., 0].mean((1, 2))
    assert late == pytest.approx(180 + 4 * np.array([10, 14]), abs=6)
    assert len(spread_frames(Entry(tmp_path / "a.mp4", start=1.0, end=1.25), 8)) == 2
    wide = torch.zeros(1, 100, 1600, 3, dtype=torch.uint8)
    write_clip(Clip(wide, 8.0), tmp_path / "wide.png")
    assert spread_frames(Entry(tmp_path / "wide.png"), 4).shape == (1, 32, 512, 3)
    with pytest.raises(MediaError):
        spread_frames(Entry(Path(__file__)), 4)


@pytest.fixture
def generating(model_folder, tmp_path, server, monkeypatch):
    """Arguments of `generate --expand`, and what the model was given to read."""
    server.reply = lambda request: (
        200, {}, completion(f"Longer. {request['messages'][0]['content'].splitlines()[-1]} {'and on ' * 99}")
    )  # fmt: skip
    asked, generate_batch = [], VideoLM.generate_batch

    def watched(self, task, prompts, **settings):
        asked.extend(prompts)
        return generate_batch(self, task, prompts, **settings)

    monkeypatch.setattr(VideoLM, "generate_batch", watched)
    words = ["generate", "--model", str(model_folder), "--task", "text_to_image"]
    return [*words, "--expand", server.address, "--expand-model", "writer"], asked


def test_an_expanded_prompt_is_printed_and_kept_and_is_what_the_model_reads(
    generating, server, tmp_path, capsys, make_model
):
    words, asked = generating
    out = ["--text", "a red star spins", "--out", str(tmp_path / "x.png")]
    assert main([*words, *out]) == 0
    assert "x: Longer.\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "caption": "a red star spins", "captioner": "writer", "long_caption": "Longer.",
    }  # fmt: skip
    assert (asked[0].text, asked[0].expanded) == ("a red star spins", "Longer.")
    made = (tmp_path / "x.png").read_bytes()
    entry = read_manifest(tmp_path)[0]
    assert entry.captions == ("a red star spins",) and entry.extra["long_caption"] == "Longer."
    assert main([*words, *out]) == 0
    assert len(server.requests) == 1 and (tmp_path / "x.png").read_bytes() == made
    model = make_model(0)
    row = model.rows.row(load_task("text_to_image"), asked[0], 1.0)
    assert row.parts["text"].tolist() == model.text_tokenizer.encode("longer")  # training showed no full stop


def test_expansions_of_a_file_of_prompts_and_what_cannot_be_expanded(generating, server, tmp_path, capsys):
    words, asked = generating
    (tmp_path / "prompts.txt").write_text("a red star\na blue star\n")
    (tmp_path / "out").mkdir()
    assert main([*words, "--prompts", str(tmp_path / "prompts.txt"), "--out", str(tmp_path / "out")]) == 0
    assert [prompt.expanded for prompt in asked] == ["Longer."] * 2 and len(server.requests) == 2
    (tmp_path / "y.json").write_text("[1]")
    out = ["--out", str(tmp_path / "y.png")]
    assert main([*words, "--text", "a red star", *out]) == 2
    assert "is in the way of the expanded text" in capsys.readouterr().err
    assert main([*words[:4], "unconditional", *words[5:], "--out", str(tmp_path / "z.png")]) == 2
    assert "z has no text to expand; leave out --expand" in capsys.readouterr().err


def test_an_expansion_is_cut_to_sentences_or_words_that_fit():
    assert fitting("One two. Three four! Five", lambda text: len(text.split()) <= 4) == "One two. Three four!"
    assert fitting("One two three. Four", lambda text: len(text.split()) <= 2) == "One two"
    assert fitting("One. Two", lambda text: True) == "One. Two"
    with pytest.raises(ValueError, match="does not fit the model at all"):
        fitting("One", lambda text: False)


def tiny_tokenizer(words: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>", "<image>"]
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, additional_special_tokens=["<image>"])


WORDS = [f"word{number}" for number in range(27)]
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def recorded(captioner, monkeypatch) -> list[dict]:
    """What the model of a captioner is given."""
    given, generate = [], captioner.model.generate

    def watched(**inputs):
        given.append(inputs)
        return generate(**inputs | {"max_new_tokens": 5, "suppress_tokens": list(range(5))})

    monkeypatch.setattr(captioner.model, "generate", watched)
    return given


def test_a_chat_model_of_a_folder_is_shown_all_pictures_and_follows_a_prompt(tmp_path, monkeypatch):
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = tiny_tokenizer(WORDS)
    torch.manual_seed(0)
    text = LlamaConfig(**SMALL, vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, pad_token_id=0)
    vision = CLIPVisionConfig(**SMALL, image_size=28, patch_size=14)
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=4, vision_feature_layer=-1)
    LlavaForConditionalGeneration(config).save_pretrained(tmp_path / "chat")
    images = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    template = (
        "{% for part in messages[0].content %}"
        "{{ '<image>' if part.type == 'image' else ' ' + part.text }}{% endfor %}"
    )
    LlavaProcessor(
        images, tokenizer, 14, "default", chat_template=template, num_additional_image_tokens=1
    ).save_pretrained(tmp_path / "chat")
    captioner = captioner_of(tmp_path / "chat")
    assert (captioner.name, captioner.follows, captioner.at_once) == ("chat", True, 1)
    given = recorded(captioner, monkeypatch)
    picture = np.full((40, 60, 3), 200, np.uint8)
    answer = captioner("word3 word4", [picture, picture])
    assert given[0]["pixel_values"].shape == (2, 3, 28, 28)
    assert given[0]["input_ids"].tolist() == [[4] * 8 + tokenizer.encode("word3 word4")]
    assert 1 <= len(answer.split()) <= 5 and set(answer.split()) <= set(WORDS)  # without the prompt
    captioner("word3")
    assert "pixel_values" not in given[1]
    with pytest.raises(ValueError, match="told what to do by a prompt"):
        captioner(None, [picture])


def test_a_model_that_only_describes_is_shown_a_picture_or_as_many_as_it_learnt_from(tmp_path, monkeypatch):
    from transformers import CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = tiny_tokenizer(WORDS)
    images = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    pictures = [np.full((28, 28, 3), level, np.uint8) for level in (0, 60, 120, 180, 240)]
    shown = {}
    for frames in (None, 3):
        torch.manual_seed(0)
        config = GitConfig(
            vision_config=SMALL | {"image_size": 28, "patch_size": 14},
            **SMALL, vocab_size=len(tokenizer), num_image_with_embedding=frames,
            bos_token_id=1, eos_token_id=2, pad_token_id=0,
        )  # fmt: skip
        folder = tmp_path / f"git-{frames}"
        GitForCausalLM(config).save_pretrained(folder)
        GitProcessor(images, tokenizer).save_pretrained(folder)
        captioner = captioner_of(folder)
        given = recorded(captioner, monkeypatch)
        assert not captioner.follows
        assert set(captioner(None, pictures).split()) <= set(WORDS)
        shown[frames] = given[0]["pixel_values"]
        assert captioner("word7", pictures).startswith("word7")
        with pytest.raises(ValueError, match="describes pictures and rewrites no text"):
            captioner("word7")
    assert shown[None].shape == (1, 3, 28, 28) and shown[3].shape == (1, 3, 3, 28, 28)
    assert torch.equal(shown[3][0, 1], shown[None][0])  # the one in the middle
    assert (shown[3].mean((0, 2, 3, 4)).diff() > 0).all()


def test_a_folder_without_a_captioner_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="holds no captioner that transformers loads"):
        captioner_of(tmp_path)
