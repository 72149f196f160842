"""The torch device that a user names."""

import torch


def device_of(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is a GPU if there is one.

    Raises:
        ValueError: if there is none of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device is {name!r}, which cannot be used here: {error}") from error
    return device
