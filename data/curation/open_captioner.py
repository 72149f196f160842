"""Open a captioner by its place: the address of a server, or the folder of a transformers model."""

from pathlib import Path

from .captioner import Captioner


def captioner_of(place: str | Path, model_name: str | None = None) -> Captioner:
    """The captioner at a place.

    Args:
        place: http:// or https:// address of an OpenAI-compatible server, or a folder.
        model_name: which of a server's models.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there is no such captioner, or the name is missing or of no use.
    """
    if "://" in str(place):
        from .openai_captioner import ServerCaptioner

        if not model_name:
            raise ValueError(f"{place} may have several models; say which by --model-name")
        return ServerCaptioner(str(place), model_name)
    if model_name:
        raise ValueError(f"{place} is a folder and holds one model; leave out the name {model_name!r}")
    from .transformers_captioner import FolderCaptioner

    return FolderCaptioner(place)
