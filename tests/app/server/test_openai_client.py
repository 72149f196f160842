"""The stock client of OpenAI against this server: whatever its version 3.57 offers of videos.

It has types for {"image_url": …} and {"id": …} in the place of a file and refuses both before it asks; such
an object goes by its `extra_body`.
"""

import base64
import io

import httpx
import openai
import pytest
from PIL import Image

from videolm.data.media.reading import read_clip
from videolm.data.media.streams import Blob

TEXT = "a red square moves right"


@pytest.fixture(scope="module")
def videos(server):
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="unused", max_retries=0) as client:
        yield client.videos


@pytest.fixture(scope="module")
def made(videos):
    return videos.create_and_poll(prompt=TEXT, model="tiny")


def film(videos, video):
    return read_clip(Blob("film", videos.download_content(video.id).content))


def test_a_video_is_created_polled_and_downloaded(videos, made, model):
    assert (made.status, made.progress, made.object, made.model) == ("completed", 100, "video", "tiny")
    assert made.size == "32x32" and made.seconds == "1.125" and made.prompt == TEXT
    assert made.created_at <= made.completed_at < made.expires_at
    clip = film(videos, made)
    assert clip.frames.shape == (9, 32, 32, 3)
    for variant, kind in (("thumbnail", "WEBP"), ("spritesheet", "JPEG")):
        picture = Image.open(io.BytesIO(videos.download_content(made.id, variant=variant).content))
        assert picture.format == kind
    expected = model.generate("text_to_video", text=TEXT, seed=made.seed).frames[0].numpy()
    thumbnail = Image.open(io.BytesIO(videos.download_content(made.id, variant="thumbnail").content))
    assert (expected == thumbnail.convert("RGB")).all()


def test_the_client_is_told_when_to_poll_again(videos):
    raw = videos.with_raw_response.create(prompt=TEXT)
    assert 200 <= int(raw.headers["openai-poll-after-ms"]) <= 5000
    assert videos.poll(raw.parse().id).status == "completed"


def test_videos_are_listed_page_by_page_and_deleted(videos, server):
    ids = [videos.create(prompt=TEXT).id for _ in range(3)]
    listed = [video.id for video in videos.list(limit=2)]  # the client follows the pages
    assert [each for each in listed if each in ids] == ids[::-1]
    rising = [video.id for video in videos.list(limit=2, order="asc")]
    assert rising == listed[::-1]
    for each in ids:
        assert videos.delete(each).deleted
    with pytest.raises(openai.NotFoundError):
        videos.retrieve(ids[0])


def test_a_picture_is_the_first_frame_as_a_file_and_as_an_address(videos, files):
    data = base64.b64encode(files["picture.png"]).decode()
    picture = ("picture.png", files["picture.png"])
    video = videos.create_and_poll(prompt=TEXT, input_reference=picture)
    assert (video.status, video.task) == ("completed", "image_to_video")
    reference = {"image_url": f"data:image/png;base64,{data}"}
    video = videos.create_and_poll(prompt=TEXT, extra_body={"input_reference": reference})
    assert (video.status, video.task) == ("completed", "image_to_video")


def test_a_remix_has_another_prompt_and_all_else_the_same(videos, made):
    remix = videos.poll(videos.remix(made.id, prompt="a blue circle").id)
    assert remix.remixed_from_video_id == made.id and remix.prompt == "a blue circle"
    assert (remix.seed, remix.task) == (made.seed, made.task)


def test_an_edit_is_a_painting_of_a_file_or_an_earlier_video(videos, made, files):
    edit = videos.poll(videos.edit(prompt=TEXT, video=("film.mp4", files["film.mp4"])).id)
    assert (edit.status, edit.task) == ("completed", "inpainting") and "box" in edit.notes[0]
    body = {"video": {"id": made.id}, "extra_params": '{"mask": "horizontal"}'}
    edit = videos.poll(videos.edit(prompt=TEXT, video=openai.omit, extra_body=body).id)
    assert edit.status == "completed" and not edit.notes


def test_an_extension_is_the_whole_and_goes_on_with_its_sound(videos, made, files):
    body = {"video": {"id": made.id}}
    silent = videos.extend(prompt=TEXT, seconds="1", video=openai.omit, extra_body=body)
    silent = videos.poll(silent.id)
    assert (silent.status, silent.task) == ("completed", "frame_prediction")
    sounding = videos.poll(videos.extend(prompt=TEXT, seconds="1", video=("f.mp4", files["film.mp4"])).id)
    assert (sounding.status, sounding.task) == ("completed", "audio_video_continuation")
    clip = film(videos, sounding)
    assert clip.num_frames == sounding.num_frames > 9 and clip.waveform is not None
    assert float(sounding.seconds) == clip.num_frames / clip.fps


def test_what_there_is_not_is_said_by_name(videos, made):
    with pytest.raises(openai.APIStatusError, match="characters are not implemented") as refused:
        videos.create_character(name="x", video=b"x")
    assert refused.value.status_code == 501
    with pytest.raises(openai.NotFoundError, match="there is no model 'sora-2'; this server has tiny"):
        videos.create(prompt=TEXT, model="sora-2")
    with pytest.raises(openai.BadRequestError, match="longest clips") as refused:
        videos.create(prompt=TEXT, seconds="4")
    assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match="not trained on clips of 1280x720"):
        videos.create(prompt=TEXT, size="720x1280")


def test_the_asynchronous_client_and_models(server):
    import asyncio

    async def ask() -> tuple[str, list[str]]:
        async with openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="unused") as client:
            video = await client.videos.create_and_poll(prompt=TEXT)
            return video.status, [model.id async for model in client.models.list()]

    assert asyncio.run(ask()) == ("completed", ["tiny"])


def test_json_without_the_client(server):
    answer = httpx.post(f"{server.address}/v1/videos", json={"prompt": TEXT, "seconds": 1, "seed": 2**63})
    assert answer.status_code == 200 and answer.json()["seed"] == 2**63
