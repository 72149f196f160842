"""gymnasium, an optional package, with one clear line where it is missing."""

try:
    import gymnasium
    from gymnasium.utils.seeding import np_random
except ImportError as error:
    raise ModuleNotFoundError(
        "environments of world models need the package gymnasium: pip install 'videolm[world]'"
    ) from error

__all__ = ["gymnasium", "np_random"]
