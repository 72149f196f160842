"""Fields of the page that take files, without what gradio does with these by itself.

Gradio would open a picture in this process, and fetch a file whose address a caller puts in its place. Here
a file is only named: it is read by the processes of `jobs/intake.py`, which may be killed. Nor is it trusted
that a path is of an upload: past the browser a caller can name any.
"""

from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

Field = TypeVar("Field", gr.Image, gr.Video, gr.Audio)


def own_files(field: Field) -> Field:
    """The field, which gives the path of what was uploaded to this server."""
    move = field.async_move_resource_to_block_cache

    async def moved(url_or_file_path: Any) -> str | None:
        if isinstance(url_or_file_path, str) and "://" in url_or_file_path:
            raise _refusal()
        return await move(url_or_file_path)

    field.async_move_resource_to_block_cache = moved
    field.preprocess = _path_of
    return field


def _path_of(payload: Any) -> str | None:
    if payload is None:
        return None
    path = Path(payload.path).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise _refusal()
    return str(path)


def _refusal() -> gr.Error:
    return gr.Error("This file was not uploaded here; upload it.", print_exception=False)
