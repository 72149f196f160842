"""The command that copies a model to Hugging Face's hub."""

from ..data.runtime.model_source import model_folder


def push(
    name: str,
    *,
    model: str,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> None:
    """Copy a model folder to Hugging Face's hub, and print its address.

    Only its safetensors, JSON, SentencePiece and Markdown files are copied. The repository is made if there
    is none. The token is that of `hf auth login`, or of HF_TOKEN.

    Args:
        name: of the repository, user/name.
        model: model folder, or the name of a packaged model.
        private: make a new repository that only you see.
        revision: branch, made if there is none; the main branch if not given.
        message: what was changed.
    """
    folder = model_folder(model)
    from ..generation.model_files import push_model

    print(push_model(folder, name, private=private, revision=revision, commit_message=message))
