"""How models of transformers are loaded: from safetensors, without running code of the folder, quietly.

    AutoModel.from_pretrained(folder, **LOCAL_WEIGHTS)       a model of a local folder
    AutoTokenizer.from_pretrained(folder, **LOCAL)           what stands beside it

A folder may hold Python files and name them in its config.json. Without `trust_remote_code=False`
transformers asks on the terminal whether to run them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NO_CODE: dict[str, Any] = {"trust_remote_code": False}
LOCAL: dict[str, Any] = NO_CODE | {"local_files_only": True}
LOCAL_WEIGHTS: dict[str, Any] = LOCAL | {"use_safetensors": True}


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bar and no report for a folder that takes a moment; both as they were afterwards."""
    from transformers.utils import logging

    verbosity, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()
