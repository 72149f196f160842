"""Samples that consist of several files of one name, in folders and WebDataset tars.

    0001.mp4  the clip         0001.txt   its caption         0001.json  {"caption": …, "start": …, anything}
    0001.jpg  its poster       0001.wav   its sound: neither is a clip beside a film

Names agree up to the last dot (v_0.5_10.5.mp4 and v_0.5_10.5.txt). Where they do not, one may go on after a
dot where the other ends (0001.mp4 and 0001.en.txt or 0001.mp4.txt), or they agree up to the first dot that is
no decimal point (0001.video.mp4 and 0001.caption.txt), if that leaves no choice.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .entry import IMAGE_SUFFIXES, SOUND_SUFFIXES, VIDEO_SUFFIXES
from .listing import counted

CAPTION_SUFFIXES = (".txt", ".caption", ".cap")
VALUE_SUFFIXES = (".json",)
SIDECAR_SUFFIXES = CAPTION_SUFFIXES + VALUE_SUFFIXES
_SUFFIXES = {"film": VIDEO_SUFFIXES, "picture": IMAGE_SUFFIXES, "sound": SOUND_SUFFIXES}
_SUFFIXES |= {"text": SIDECAR_SUFFIXES}
_KINDS: dict[str, str] = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes}
_DOT = re.compile(r"(?<!\d)\.|\.(?!\d)")  # no decimal point


@dataclass
class Samples:
    """How the files of some names belong together.

    Args:
        clips: the name of each clip, with the names of its sidecars, the one that agrees best first.
        companions: posters and sounds of films, and sounds of pictures.
        strays: sidecars without a clip, or with a choice of clips.
    """

    clips: dict[str, list[str]] = field(default_factory=dict)
    companions: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def add(self, other: "Samples", folder: str = "") -> None:
        """Join those of another folder."""
        self.clips |= {
            folder + name: [folder + each for each in texts] for name, texts in other.clips.items()
        }
        self.companions += [folder + name for name in other.companions]
        self.strays += [folder + name for name in other.strays]

    def notes(self, place: object) -> list[str]:
        """On names that are no clips, and on clips without a text where others have one."""
        bare = [name for name, sidecars in self.clips.items() if not sidecars]
        if len(bare) == len(self.clips):
            bare = []
        told = (
            (self.companions, "posters and sounds beside clips, no clips of their own"),
            (self.strays, "texts that belong to no clip, or to no single one"),
            (bare, "clips without a text of their name, though others have one"),
        )
        return [counted(f"{place}: {what}", names) for names, what in told if names]


def sort_out(names: Iterable[str]) -> Samples:
    """Which of some names are clips, and which belong to them; names of other kinds are left out."""
    kinds: dict[str, list[str]] = defaultdict(list)
    order = list(names)
    for name in order:
        kinds[_kind(name)].append(name)
    kinds.pop("", None)
    if len(kinds) == 1 and "text" not in kinds:  # nothing to compare: spare it to folders of 100,000 pictures
        return Samples({name: [] for (names,) in [kinds.values()] for name in names})
    films, pictures, texts = kinds["film"], kinds["picture"], kinds["text"]
    beside_films, beside_pictures, beside_texts = _Names(films), _Names(pictures), _Names(texts)
    found = Samples()

    def sort(name: str, is_sound: bool) -> None:
        is_companion = beside_films.agreeing(name) or (is_sound and beside_pictures.agreeing(name))
        if not is_companion and not beside_texts.agreeing(name):
            is_companion = bool(beside_films.akin(name))
        if is_companion:
            found.companions.append(name)
        else:
            found.clips[name] = []

    for name in films:
        found.clips[name] = []
    for name in pictures:
        sort(name, is_sound=False)
    for name in kinds["sound"]:
        sort(name, is_sound=True)
    found.clips = {name: found.clips[name] for name in order if name in found.clips}
    _give(texts, found)
    return found


def stem_of(name: str) -> str:
    """A name up to its last dot."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last)


def suffix_of(name: str) -> str:
    last = name.rpartition("/")[2]
    return f".{last.rpartition('.')[2]}".lower() if "." in last[1:] else ""


def is_about_a_page(name: str) -> bool:
    """Whether a text is a downloader's, on the page that a film was on rather than on what is seen."""
    return name.lower().endswith(".info.json")


def _kind(name: str) -> str:
    return "" if is_about_a_page(name) else _KINDS.get(suffix_of(name), "")


def _give(texts: Sequence[str], found: Samples) -> None:
    """Each text to the clips that it belongs to."""
    clips = _Names(list(found.clips))
    akin: list[tuple[str, str]] = []
    for text in texts:
        agreeing = clips.agreeing(text)
        for clip in agreeing:
            found.clips[clip].append(text)
        if not agreeing:
            related = clips.akin(text)
            akin += [(clip, text) for clip in related]
            found.strays += [] if related else [text]
    for clip, text in akin:
        found.clips[clip].append(text)


class _Names:
    """Names to which others are compared."""

    def __init__(self, names: Sequence[str]):
        self.names = set(names)
        self.of_stem: dict[str, list[str]] = defaultdict(list)
        self.of_beginning: dict[str, list[str]] = defaultdict(list)
        self.of_key: dict[str, list[str]] = defaultdict(list)
        for name in names:
            stem = stem_of(name)
            self.of_stem[stem].append(name)
            self.of_key[_key(stem)].append(name)
            for beginning in _beginnings(stem):
                self.of_beginning[beginning].append(name)

    def agreeing(self, name: str) -> list[str]:
        """Those that are called the same up to the last dot."""
        return self.of_stem.get(stem_of(name), [])

    def akin(self, name: str) -> list[str]:
        """Of the others those that it must belong to, by a part of its name."""
        stem = stem_of(name)
        if stem in self.names:  # 0001.mp4.txt
            return [stem]
        for beginning in _beginnings(stem):
            if beginning in self.of_stem:
                return self.of_stem[beginning]
        for found in (self.of_beginning.get(stem, []), self.of_key.get(_key(stem), [])):
            if len(found) == 1:
                return found
        return []


def _beginnings(stem: str) -> Iterator[str]:
    """What stands before each dot of a stem, the longest first."""
    folder, slash, last = stem.rpartition("/")
    while "." in last:
        last = last.rpartition(".")[0]
        yield folder + slash + last


def _key(stem: str) -> str:
    folder, slash, last = stem.rpartition("/")
    return folder + slash + _DOT.split(last, maxsplit=1)[0]
