"""Texts as people type them, in the pieces that training showed.

A piece that never occurred in a training caption has an embedding that nothing has changed since it was drawn
at random, and a byte of an emoji is such a piece. `PieceReader` leads a text around them:

    "A blue circle moves up…" 🎬 4k   ->   a blue circle moves up        left out: " ... 🎬 4k
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from sentencepiece import SentencePieceProcessor

SPACE = "▁"  # how SentencePiece writes the beginning of a word
# Characters that are written for each other, the plainest first; those that training showed stand for the
# others. "" is: leave it out.
_ALIKE = (
    ("'", "’", "‘", "‚", "‛", "′", "`", "´", "ʼ"),
    ('"', "”", "“", "„", "‟", "«", "»", "″"),
    ("-", "–", "—", "‐", "‒", "―", "−", "⁃"),
    (".", "。", "．", "｡"),
    (",", "，", "、"),
    ("/", "⁄", "∕"),
    ("x", "×"),
    ("*", "•", "·", "∙"),
)
_CLASS_OF = {char: alike for alike in _ALIKE for char in alike}
# For a word that training never showed, a beginning that it showed stands if it is most of it: circle(s).
_LEAST_STEM, _STEM_SHARE = 3, 0.6
# Shorter pieces spell letters one by one, which says nothing to a model.
_LEAST_PIECE = 2


@dataclass(frozen=True)
class Reading:
    """A text as the model reads it.

    Args:
        ids: of its pieces.
        left_out: words and characters that are not read, each once.
        read_as: words that are read as another, shorter one.
    """

    ids: list[int]
    left_out: tuple[str, ...] = ()
    read_as: tuple[tuple[str, str], ...] = ()


class PieceReader:
    """Text to pieces that training showed.

    Args:
        pieces: of SentencePiece, which normalises (NFKC) and folds case by itself.
        seen: ids of the pieces that occurred in the training captions.
    """

    def __init__(self, pieces: SentencePieceProcessor, seen: Collection[int]):
        self.pieces, self.seen = pieces, frozenset(seen)
        self.ids = {
            pieces.id_to_piece(index): index
            for index in sorted(self.seen)
            if not (pieces.is_byte(index) or pieces.is_control(index) or pieces.is_unknown(index))
        }
        self.alphabet = {char for piece in self.ids for char in piece if char != SPACE}
        # Characters that occurred beyond a small vocabulary are seen as bytes.
        self.has_bytes = any(pieces.is_byte(index) for index in self.seen)
        self._longest = max(map(len, self.ids), default=0)

    def __call__(self, text: str) -> Reading:
        """Read a text; one that training showed throughout gets the ids that SentencePiece gives it."""
        text = well_formed(text)
        ids: list[int] = self.pieces.encode(text)
        if self.seen.issuperset(ids):
            return Reading(ids)
        pass_over: dict[str, None] = {}
        shortened: dict[str, str] = {}
        folded = "".join(map(self._folded, unicodedata.normalize("NFKC", text)))
        words = [(word, self._word(word, pass_over, shortened)) for word in folded.split()]
        ids = [index for read in _without_idle_signs(words) for index in read]
        return Reading(ids, tuple(pass_over), tuple(shortened.items()))

    def knows(self, char: str) -> bool:
        """Whether training showed a character, in any case."""
        if self.has_bytes and self.seen.issuperset(self.pieces.encode(char)):
            return True
        normalised = self.pieces.normalize(char).strip(SPACE)
        return bool(normalised) and self.alphabet.issuperset(normalised)

    def _folded(self, char: str) -> str:
        """The character, or one that is written for it if only that one is known."""
        if char.isspace() or self.knows(char):
            return char
        for other in _CLASS_OF.get(char, ()):
            if self.knows(other):
                return other
        plain = "".join(part for part in unicodedata.normalize("NFD", char) if not _is_mark(part))
        return plain if plain != char and all(map(self.knows, plain)) else char

    def _word(self, word: str, left_out: dict[str, None], read_as: dict[str, str]) -> list[int]:
        """The pieces of what has no blanks."""
        ids: list[int] = self.pieces.encode(word)
        if self.seen.issuperset(ids):
            return ids
        runs = ["".join(run) for _, run in groupby(word, self._kind)]
        if len(runs) == 1 and self._kind(word[0]) == "word":
            return self._unseen_word(word, left_out, read_as)
        kinds = [self._kind(run[0]) for run in runs]
        if any(kind.startswith("unknown") for kind in kinds):
            parts = _without(runs, [kind.startswith("unknown") for kind in kinds], left_out)
        else:  # signs that are known beside a word that is not
            parts = [run for run, kind in zip(runs, kinds, strict=True) if kind == "word"]
        return [index for part in parts for index in self._word(part, left_out, read_as)]

    def _unseen_word(self, word: str, left_out: dict[str, None], read_as: dict[str, str]) -> list[int]:
        """The pieces of letters and digits that SentencePiece divides into some that are not seen."""
        spelled = SPACE + self.pieces.normalize(word).strip(SPACE)
        if any(unicodedata.category(char) == "Lo" for char in word):
            # Of scripts without blanks between words: what is not known is left out from within.
            found, skipped = self._fewest(spelled, may_skip=True)
            if skipped:
                left_out[skipped] = None
            return found if len(skipped) < len(spelled) - 1 else []
        found, skipped = self._fewest(spelled, may_skip=False)
        if found and len(found) * _LEAST_PIECE < len(spelled):
            return found
        least = max(_LEAST_STEM, _STEM_SHARE * (len(spelled) - 1))
        for end in range(len(spelled) - 1, 0, -1):
            if end - 1 >= least and spelled[:end] in self.ids:
                read_as[word] = spelled[1:end]
                return [self.ids[spelled[:end]]]
        left_out[word] = None
        return []

    def _fewest(self, spelled: str, *, may_skip: bool) -> tuple[list[int], str]:
        """The division of a word into as few seen pieces as there can be; no pieces if there is no division.

        Args:
            may_skip: leave characters out, as few as there can be; they are the second result.
        """
        # Of each length of beginning: characters left out, pieces, and the length before the last of these.
        best: list[tuple[int, int, int] | None] = [(0, 0, 0)]
        for end in range(1, len(spelled) + 1):
            options = [
                (before[0], before[1] + 1, start)
                for start in range(max(0, end - self._longest), end)
                if (before := best[start]) is not None and spelled[start:end] in self.ids
            ]
            before = best[-1]
            if may_skip and before is not None:
                options.append((before[0] + 1, before[1], end - 1))
            best.append(min(options, default=None))
        pieces, end = [], len(spelled)
        while end and (reached := best[end]) is not None:
            pieces.insert(0, spelled[reached[2] : end])
            end = reached[2]
        known = [self.ids[piece] for piece in pieces if piece in self.ids]
        return known, "".join(piece for piece in pieces if piece not in self.ids).strip(SPACE)

    def _kind(self, char: str) -> str:
        if char.isalnum() or (_is_mark(char) and self.knows(char)):
            return "word"
        if self.knows(char):
            return "sign"
        return "unknown punctuation" if unicodedata.category(char).startswith("P") else "unknown sign"


def signs_apart(text: str) -> str:
    """The text with blanks around punctuation and symbols, of which emoji are none, as BERT divides it.

    SentencePiece writes a word differently after a blank and after a quote, and a model would have to learn
    both (Devlin et al. 2019, arXiv:1810.04805, and its BasicTokenizer). An apostrophe inside a word stays.
    """
    text = unicodedata.normalize("NFKC", text)
    beside = zip(f" {text}", text, f"{text[1:]} ", strict=False)
    return "".join(
        f" {char} "
        if _is_sign(char) and not (char in "'’" and before.isalnum() and after.isalnum())
        else char
        for before, char, after in beside
    )


@cache
def _is_sign(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "P" or category in ("Sm", "Sc") or (category == "Sk" and char < "\u1000")


def well_formed(text: str) -> str:
    """The text with halves of surrogate pairs, which JSON can spell and UTF-8 cannot, joined or replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without_idle_signs(words: list[tuple[str, list[int]]]) -> list[list[int]]:
    """The ids of words, without those of signs that belonged to words that are left out.

    These are the signs after such a word, those that open before it, and those before it if nothing follows.
    """
    kept = [bool(ids) for _, ids in words]
    are_signs = [not any(map(str.isalnum, word)) for word, _ in words]
    for number, (_, ids) in enumerate(words):
        if ids or are_signs[number]:
            continue
        after = number + 1
        while after < len(words) and are_signs[after]:
            kept[after], after = False, after + 1
        before = number - 1
        while before >= 0 and are_signs[before] and (_opens(words[before][0]) or not any(kept[number:])):
            kept[before], before = False, before - 1
    return [ids for (_, ids), is_kept in zip(words, kept, strict=True) if is_kept]


def _opens(sign: str) -> bool:
    return unicodedata.category(sign[0]) in ("Ps", "Pi") or sign[0] in "\"'"


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _without(runs: list[str], unknown: list[bool], left_out: dict[str, None]) -> list[str]:
    """The runs that are known, those that are not being noted."""
    for run, is_unknown in zip(runs, unknown, strict=True):
        if is_unknown and any(char.isprintable() for char in run):
            left_out[run] = None
    kept = (run if not is_unknown else " " for run, is_unknown in zip(runs, unknown, strict=True))
    return "".join(kept).split()
