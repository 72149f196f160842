"""`videolm`: one table from word to function; a function's signature and docstring are its help.

A user's mistake ends in one line on stderr and exit code 2, a full disk or quota in one line and exit code 1,
Ctrl-C in 130; --debug (or VIDEOLM_DEBUG=1) shows where an error came from. --confine (or VIDEOLM_CONFINE=1)
keeps every command inside the folders of its sources. Modules are imported by the command that needs them, so
that `videolm --help` is instant.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ..data.runtime.cache_folders import redirect_unwritable_caches
from ..data.runtime.confinement import confinement
from ..data.runtime.files import NO_SPACE
from ..data.runtime.import_path import isolate
from ..data.runtime.interrupts import EXIT_CODE, ending_on_interrupt
from ..data.runtime.terminal import printable_output
from . import (
    commands_codecs,
    commands_data,
    commands_evaluate,
    commands_generate,
    commands_hub,
    commands_record,
    commands_serve,
    commands_training,
    commands_workflows,
)
from .arguments import as_parsed, help_of, parse
from .plain_warnings import plain_warnings


def demo(
    *, out: Path = Path("runs/demo"), seed: int = 0, clips: int = 64, quick: bool = False
) -> list[Path]:
    """The whole path on the embedded corpus, from training to a page with clips and scores.

    Shows first what the packaged model makes (first/index.html). Then synthesizes clips, trains the
    tokenizers and one language model of all tasks (model/), generates with every task, scores the results
    and writes index.html and report.json. Run again, it goes on where it was stopped.

    Args:
        out: run folder.
        seed: of everything that is random.
        clips: generated and scored per task and kind of held-out prompt.
        quick: tiny models and few clips, to see in a minute that everything works; the clips are noise.
    """
    from .demo.demo import run_demo

    return run_demo(run, out, seed=seed, clips=clips, quick=quick)


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> None:
    """Print what a shell reads to complete the words of videolm: videolm completion bash > FILE."""
    from .completion import completion_script

    print(completion_script(COMMANDS, shell))


COMMANDS: dict[str, Callable[..., list[Path] | None]] = {
    "demo": demo,
    "synthesize": commands_data.synthesize,
    "tokenizer fit": commands_training.tokenizer_fit,
    "tokenizer validate": commands_training.tokenizer_validate,
    "tokenizer reconstruct": commands_codecs.tokenizer_reconstruct,
    "tokenizer encode": commands_codecs.tokenizer_encode,
    "tokenizer decode": commands_codecs.tokenizer_decode,
    "tokenizer score": commands_evaluate.tokenizer_score,
    "audio fit": commands_training.audio_fit,
    "audio validate": commands_training.audio_validate,
    "audio reconstruct": commands_codecs.audio_reconstruct,
    "audio score": commands_evaluate.audio_score,
    "audio adopt": commands_codecs.audio_adopt,
    "audio decode": commands_codecs.audio_decode,
    "data inspect": commands_data.data_inspect,
    "data filter": commands_data.data_filter,
    "data caption": commands_data.data_caption,
    "record": commands_record.record,
    "encode": commands_data.encode,
    "embed": commands_data.embed,
    "lm fit": commands_training.lm_fit,
    "lm validate": commands_training.lm_validate,
    "super-resolution fit": commands_training.super_resolution_fit,
    "super-resolution validate": commands_training.super_resolution_validate,
    "export": commands_training.export,
    "generate": commands_generate.generate,
    "upscale": commands_generate.upscale,
    "long-video": commands_workflows.long_video,
    "chain": commands_workflows.chain,
    "evaluate": commands_evaluate.evaluate,
    "tasks": commands_generate.tasks,
    "sampling": commands_generate.sampling,
    "sampling search": commands_evaluate.sampling_search,
    "info": commands_generate.info,
    "push": commands_hub.push,
    "app": commands_serve.app,
    "serve": commands_serve.serve,
    "play": commands_serve.play,
    "completion": completion,
}


_LAST_WORDS = (
    "videolm COMMAND --help says more; --debug shows where an error arose, --confine refuses clips outside\n"
    "the folder of the list or data set that names them."
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    isolate()
    redirect_unwritable_caches()
    arguments = sys.argv[1:] if arguments is None else arguments
    with printable_output(), confinement("--confine" in arguments):
        return _exit_code(arguments)


def _exit_code(arguments: list[str]) -> int:
    debug = "--debug" in arguments or os.environ.get("VIDEOLM_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument not in ("--debug", "--confine")]
    words = _words(arguments)
    program = " ".join(["videolm", *words])
    try:
        with ending_on_interrupt(), plain_warnings():
            run(arguments)
            sys.stdout.flush()  # where it goes may be a full disk
    except SystemExit as finished:  # LightningCLI has printed its help
        return int(finished.code or 0)
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return EXIT_CODE
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug or not _is_users_mistake(error):
            raise
        print(f"{program}: error: {one_line(error)}", file=sys.stderr)
        return 1 if _is_lack_of_space(error) else 2
    return 0


def run(arguments: list[str]) -> None:
    """Run one command and print what it wrote; a mistake raises."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    if arguments[0] == "--version":
        from .. import __version__

        print(__version__)
        return
    words = _words(arguments)
    command = COMMANDS.get(" ".join(words))
    rest = arguments[len(words) :]
    if command is None and words and set(rest) <= {"-h", "--help"} and rest:
        print(overview(words))
        return
    if command is None:
        raise ValueError(_unknown(arguments))
    for path in call(command, " ".join(["videolm", *words]), rest) or ():
        print(f"wrote {path}")


def call(command: Callable[..., list[Path] | None], program: str, arguments: list[str]) -> list[Path] | None:
    """Parse the arguments of a command as its signature says and call it."""
    if "arguments" in inspect.signature(command).parameters:  # LightningCLI parses these itself
        return command(as_parsed(arguments))
    if set(arguments) & {"-h", "--help"}:
        print(help_of(command, program))
        return None
    return command(**parse(command, program, arguments))


def overview(words: list[str] = ()) -> str:  # type: ignore[assignment]
    """The commands that begin with `words`, with the first line of their help."""
    lines = ["usage: " + " ".join(["videolm", *words, "COMMAND", "…"]), ""]
    for name in _starting_with(list(words)):
        summary = inspect.cleandoc(COMMANDS[name].__doc__ or "").splitlines()[0]
        lines.append(f"  {name:22} {summary}")
    return "\n".join([*lines, "", _LAST_WORDS])


def one_line(error: BaseException) -> str:
    """What a user needs of an error message, on one line.

    jsonargparse explains over several lines which parts of a union of types failed; the part that matters
    is the setting's name and what came.
    """
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).replace("typing.", "")
    text = re.sub(r"Expected an? (.+)\. Got value: (.*)", r"expected \1, got \2", text)
    lines = [line.strip(" -") for line in text.splitlines() if line.strip()]
    keys = [match[1] for line in lines if (match := re.match(r'Parser key "([^"]+)":$', line))]
    given = [line.removeprefix("Given value:").strip() for line in lines if line.startswith("Given value:")]
    types = [line for line in lines if line.startswith("Subtypes:")]
    if keys and given and types:
        wanted = types[0].removeprefix("Subtypes:").strip(" []").replace("NoneType", "nothing")
        return f"{keys[0]}: expected one of {wanted}; got {given[0]}"
    if keys:
        rest = next(line for line in reversed(lines) if not line.startswith("Parser key"))
        return f"{keys[0]}: {rest}"
    return lines[0]


def _is_users_mistake(error: Exception) -> bool:
    if isinstance(error, (ValueError, OSError)):
        return True
    # By name, so that a command which needs neither library does not import it for its errors.
    return type(error).__name__ in ("ArgumentError", "MisconfigurationException")


def _is_lack_of_space(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in NO_SPACE


def _words(arguments: list[str]) -> list[str]:
    """The leading words that name a command, such as ["tokenizer", "fit"]."""
    for count in (2, 1):
        words = arguments[:count]
        if len(words) == count and (" ".join(words) in COMMANDS or (count == 1 and _starting_with(words))):
            return words
    return []


def _starting_with(words: list[str]) -> list[str]:
    return [name for name in COMMANDS if name.split()[: len(words)] == words]


def _unknown(arguments: list[str]) -> str:
    import difflib

    group = _starting_with(arguments[:1])
    if group:
        choices = ", ".join(name.split(maxsplit=1)[1] for name in group)
        return f"expected one of {choices} after {arguments[0]!r}"
    close = difflib.get_close_matches(" ".join(arguments[:2]), COMMANDS, n=1) or difflib.get_close_matches(
        arguments[0], COMMANDS, n=1
    )
    hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(COMMANDS)}"
    return f"no command {arguments[0]!r}{hint}"


if __name__ == "__main__":
    sys.exit(main())
