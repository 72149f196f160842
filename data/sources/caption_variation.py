"""Captions as other people would have written them: the same content in another form.

    A red square moves right.   ->   video: a red square moves right, 4k, high quality
                                     "A RED SQUARE MOVES RIGHT!"

A model that was only shown the captions of one writer reads a full stop or ", cinematic" as something that
it never learnt to pass over. `varied` changes case, signs, lead-ins, tails and, where nothing depends on it,
order; it takes away no word of a caption and adds none that says what is to be seen.
"""

import re
from zlib import crc32

import numpy as np

# Each caption has so many forms, so that whatever is kept of a text (embeddings) is bounded.
FORMS = 64
_LEAST_TOGETHER = 4096
# What comes before "a red square …"; before any text; after one.
LEAD_INS = (
    "a video of", "video of", "an animation of", "animation of", "a clip of", "a short clip of", "show me",
    "please make", "make a video of", "generate", "create an animation of", "i want to see", "a movie of",
)  # fmt: skip
LABELS = ("video:", "animation:", "clip:")
TAILS = (
    "4k", "8k", "hd", "in 4k resolution", "high quality", "best quality", "cinematic", "masterpiece",
    "detailed", "highly detailed", "beautiful lighting", "soft lighting", "trending", "realistic", "simple",
    "smooth motion", "sharp focus", "digital art", "professional", "please",
)  # fmt: skip
EMOJI = ("🎬", "✨", "🔥", "🎥")

_LED_IN, _TAILED, _QUOTED, _WITH_EMOJI, _REORDERED = 0.25, 0.3, 0.05, 0.04, 0.5
_MOST_TAILS = 4
_BARE = 0.5
_END = re.compile(r"\s*[.!…。！．]+$")
_JOINED_BY = {", ": 0.7, ". ": 0.15, " - ": 0.05, " | ": 0.05, " ": 0.05}
_ENDINGS = {"": 0.38, ".": 0.38, "!": 0.09, "…": 0.05, "...": 0.05, " .": 0.05}
_QUOTES = ('""', "“”", "''", "«»")
_CASES = {"as it is": 0.4, "lower": 0.25, "sentence": 0.2, "title": 0.08, "upper": 0.07}

_ARTICLE = re.compile(r"(an?|the|one|two|three|some)\s", re.IGNORECASE)
_SENTENCES = re.compile(r"(?<=[.!])\s+")
# Words by which a part of a caption depends on the part before it.
_REFERS = re.compile(
    r"\b(and|or|but|then|while|as|who|which|that|it|its|he|she|his|her|they|their|them|this|these|those|there|"
    r"after|before|when|where|until|finally|next|later|now|first|second|also|another|other|same|both|with)\b",
    re.IGNORECASE,
)
_MOST_WORDS = 4  # of a part of a list of keywords
_LATIN = 0.9  # share of a text's letters from which English words may stand beside it


def varied(caption: str, form: int) -> str:
    """The caption in one of its FORMS; an empty one stays empty.

    Args:
        form: 0 to FORMS - 1; one form of one caption is always the same.
    """
    text = caption.strip()
    if not text:
        return caption
    random = np.random.default_rng((form, crc32(text.encode("utf-8", "surrogatepass"))))
    return as_written(reordered(text, random), random)


def with_other_forms(captions: list[str]) -> list[str]:
    """The captions and, after them, some in other forms: of few captions more, so that what belongs to the
    forms occurs often."""
    rounds = min(-(-_LEAST_TOGETHER // max(len(captions), 1)), FORMS)
    return captions + [
        varied(caption, (number + turn) % FORMS)
        for turn in range(rounds)
        for number, caption in enumerate(captions)
    ]


def as_written(text: str, random: np.random.Generator) -> str:
    """A text with the lead-in, tail, case, signs and emoji that it might have been typed with.

    A text that is not in Latin letters loses its last sign at times; a question, or what ends in a bracket or
    quotes, stays as it is.
    """
    bare = _END.sub("", text)
    if not bare or text[-1] in "?？\"”')":
        return text
    if not _is_latin(bare):
        return bare if random.random() < _BARE else text
    text, ending = bare, _drawn(random, _ENDINGS)
    if random.random() < _LED_IN:
        text = _led_in(text, random)
    if random.random() < _TAILED:
        text += _tail(random)
    text = _in_case(text, _drawn(random, _CASES)) + ending
    if random.random() < _QUOTED:
        opening, closing = _QUOTES[random.integers(len(_QUOTES))]
        text = f"{opening}{text}{closing}"
    if random.random() < _WITH_EMOJI:
        text += f" {EMOJI[random.integers(len(EMOJI))]}"
    return text


def reordered(text: str, random: np.random.Generator) -> str:
    """Keywords, or sentences none of which refers to another, in another order at times."""
    if random.random() >= _REORDERED or _REFERS.search(text):
        return text
    parts, joint, end = text.rstrip(".").split(", "), ", ", text[len(text.rstrip(".")) :]
    if not _is_list(parts):
        parts, joint, end = _SENTENCES.split(text), " ", ""
        if parts[-1][-1] not in ".!":
            return text
    return joint.join(parts[index] for index in random.permutation(len(parts))) + end


def _is_list(parts: list[str]) -> bool:
    return len(parts) > 2 and all(part and len(part.split()) <= _MOST_WORDS for part in parts)


def _led_in(text: str, random: np.random.Generator) -> str:
    if not _ARTICLE.match(text) or random.random() < 0.2:
        return f"{LABELS[random.integers(len(LABELS))]} {text}"
    return f"{LEAD_INS[random.integers(len(LEAD_INS))]} {text[0].lower()}{text[1:]}"


def _tail(random: np.random.Generator) -> str:
    """One to four tails with what joins them to a text."""
    count = 1 + int(random.integers(_MOST_TAILS))
    chosen = [TAILS[index] for index in random.permutation(len(TAILS))[:count]]
    return _drawn(random, _JOINED_BY) + ", ".join(chosen)


def _in_case(text: str, case: str) -> str:
    match case:
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case "title":
            return " ".join(_capital(word) for word in text.split(" "))
        case "sentence":
            return ". ".join(_capital(sentence) for sentence in text.split(". "))
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _drawn(random: np.random.Generator, shares: dict[str, float]) -> str:
    return str(random.choice(list(shares), p=list(shares.values())))


def _is_latin(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return bool(letters) and sum(char < "\u0250" for char in letters) >= _LATIN * len(letters)
