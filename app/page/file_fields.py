"""Fields of the page that take files, without what gradio does with these by itself.

Gradio would open a picture in this process, and fetch a file whose address a caller puts in its place. Here
a file is only named: it is read by the processes of `jobs/intake.py`, which may be killed.
"""

from typing import Any, TypeVar

import gradio as gr

Field = TypeVar("Field", gr.Image, gr.Video, gr.Audio)


def own_files(field: Field) -> Field:
    """The field, which gives the path of what was uploaded to this server."""
    move = field.async_move_resource_to_block_cache

    async def moved(url_or_file_path: Any) -> str | None:
        if isinstance(url_or_file_path, str) and "://" in url_or_file_path:
            raise gr.Error("Files of other servers are not fetched; upload the file.", print_exception=False)
        return await move(url_or_file_path)

    field.async_move_resource_to_block_cache = moved
    field.preprocess = _path_of
    return field


def _path_of(payload: Any) -> str | None:
    return None if payload is None else payload.path
