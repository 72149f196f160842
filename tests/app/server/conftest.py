import pytest


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """A server without tokens, shared by the tests of a file."""
    from video_server import video_server

    with video_server(model, tmp_path_factory.mktemp("serve")) as started:
        yield started


@pytest.fixture(scope="session")
def files(clip, tmp_path_factory):
    """A film with sound, a picture and a sound."""
    folder = tmp_path_factory.mktemp("files")
    clip.save(folder / "film.mp4")
    clip.window(0, 1).save(folder / "picture.png")
    clip.save(folder / "sound.wav")
    return {path.name: path.read_bytes() for path in folder.iterdir()}
