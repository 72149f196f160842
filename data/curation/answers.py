"""What of a captioner's answer is the caption, and whether it is one at all.

Chat models think aloud, are polite, format, refuse and run out of tokens. What wraps a caption is taken off;
an answer that is none is refused, so that nothing of this is ever trained on.
"""

import re

from .captioner import Unusable

# <think> … </think> and its kin; of a template that opens them itself only the end is seen.
_THOUGHTS = "think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad"
_END_OF_THOUGHTS = re.compile(
    rf"</(?:{_THOUGHTS})\s*>|◁/think▷|<\|channel\|>final[^<]{{0,20}}<\|message\|>", re.I
)
_THOUGHTS_BEGIN = re.compile(rf"<(?:{_THOUGHTS})\b|◁think▷|<\|channel\|>", re.I)
_MOST_CHARACTERS = 4000  # of a caption
_ANSWER = re.compile(r"<(answer|caption|output|description|response)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_SPECIAL = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|\[/?INST\]|<(?:image|video|pad|unk)>", re.IGNORECASE)
_FENCE = re.compile(r"^\s*```[\w-]*\s*\n?(.*?)\n?\s*```\s*$", re.DOTALL)
_NAMES = "caption|description|paragraph|summary|answer|output|response|version|rewrite"
_LEAD = re.compile(
    rf"^\W*(?:(?:sure|certainly|of course|absolutely|okay|ok|great)\b[^\n:]{{0,60}}?[!,.:]\s*)?"
    rf"(?:(?:here|below)\b[^\n:]{{0,80}}\b(?:{_NAMES})\b[^\n:]{{0,60}}:"
    rf"|(?:[\w-]+ ){{0,3}}(?:{_NAMES})\W{{0,3}}(?::|\n)\W{{0,3}})\s*",
    re.IGNORECASE,
)
_POLITE = re.compile(r"^(?:sure|certainly|of course|absolutely)(?: thing)?\s*[!.]\s+", re.IGNORECASE)
_LIST = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)]|\|)\s+\S", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|~~|`+)(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL)
_HEADING = re.compile(r"^\s*#{1,6}\s.*$\n?", re.MULTILINE)
_BEGINNING = re.compile(r"^\s*(?:#{1,6}|>|[-*+•]|\d{1,2}[.)])\s+", re.MULTILINE)

_CANNOT = (
    r"(?:can['’]?t|cannot|can not|couldn['’]?t|could not|won['’]?t|will not|(?:a|['’])?m (?:un|not )able to)"
)
_SEEN = "images?|videos?|frames?|clips?|pictures?|photos?|attachments?"
_REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^(?:(?:i['’]?m|i am) (?:so |very |really )?sorry|sorry|i apologi[sz]e|my apologies|apologies)\b",
        r"^unfortunately\b.*\b(?:i|we)\b",
        r"^(?:as|being) an? (?:ai\b|artificial int|(?:large |multimodal |visual )?language model)",
        r"^(?:as|being) an? (?:text|virtual|visual)[ -](?:based |only )?(?:model|assistant)",
        rf"^(?:well, |but |however, )*(?:i|we) ?(?:{_CANNOT}|do not|don['’]?t|(?:am|['’]m) not)\b",
        rf"\bi ?{_CANNOT} (?:help|assist|provide|describe|see|view|fulfil|comply|create|generate|analy[sz]e|"
        r"identify|continue|process|access|answer)",
        rf"\b(?:no|any|the) (?:{_SEEN})\b.{{0,40}}\b(?:provided|attached|uploaded|shared)\b.*\bplease\b",
        r"^(?:please|could you|can you|would you) (?:please )?(?:provide|upload|share|attach|send|clarify)\b",
        r"^(?:it (?:seems|looks|appears)(?: like)? (?:that )?)?"
        rf"(?:you|(?:there (?:is|are|was|were) )?no (?:{_SEEN}))"
        r" (?:[\w'’]+ ){0,3}(?:provided?|attach(?:ed)?|upload(?:ed)?|shared?|given|to (?:describe|analy))",
        r"^(?:es tut mir leid|lo siento|je suis désolée?|désolée?|mi dispiace|desculpe|sinto muito)\b",
        r"^(?:извините|很抱歉|抱歉|对不起|申し訳)",
    )
)


def caption_of(text: str, is_whole: bool = True) -> str:
    """The caption in an answer, on one line.

    Args:
        text: as the model gave it.
        is_whole: whether it ended by itself, not because there were enough tokens.

    Raises:
        Unusable: if it is none: empty, cut off, a refusal, thoughts without an end, or a list.
    """
    text = _without_thoughts(text)
    if not is_whole:
        raise Unusable("the answer is cut off: it has more tokens than are asked for")
    if len(text) > _MOST_CHARACTERS:
        raise Unusable(f"the answer has {len(text)} characters; a caption has at most {_MOST_CHARACTERS}")
    wrapped = _ANSWER.search(text)
    text = _SPECIAL.sub(" ", wrapped[2] if wrapped else text).strip()
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else text
    text = _POLITE.sub("", _LEAD.sub("", text.strip(), count=1)).strip()
    if len(_LIST.findall(text)) > 1 or "```" in text:
        raise Unusable(f"the answer is a list or formatted, no caption: {_shown(text)}")
    words = _unquoted(" ".join(_plain(text).split()))
    if not words or not any(map(str.isalnum, words)):
        raise Unusable("the answer is empty")
    if any(pattern.search(words[:400]) for pattern in _REFUSALS):
        raise Unusable(f"the answer is a refusal: {_shown(words)}")
    if re.search(r"</?[a-z_]{2,20}>", words):
        raise Unusable(f"the answer has tags: {_shown(words)}")
    return words


def _without_thoughts(text: str) -> str:
    """What follows the thoughts, or else what comes before them."""
    ends = [each.end() for each in _END_OF_THOUGHTS.finditer(text)]
    after = text[ends[-1] :] if ends else text
    begun = _THOUGHTS_BEGIN.search(after)
    if begun is not None:
        raise Unusable("the answer has thoughts without an end")
    if ends and not after.strip() and (begun := _THOUGHTS_BEGIN.search(text)) is not None:
        return text[: begun.start()]
    return after


def _plain(text: str) -> str:
    """A text without the marks of Markdown; a list of one point is the point."""
    text = _LINK.sub(r"\1", text)
    text = _BEGINNING.sub("", _HEADING.sub("", text).strip() or text)
    for _ in range(3):  # **_both_**
        text = _MARKS.sub(r"\2", text)
    return text.replace("**", "")


def _unquoted(words: str) -> str:
    """Without the quotation marks that chat models like to put around an answer."""
    for begin, end in ('""', "“”", "«»", "„“", "「」"):
        inner = words[1:-1]
        if (
            len(words) > 1
            and words[0] == begin
            and words[-1] == end
            and begin not in inner
            and end not in inner
        ):
            return inner.strip()
    return words


def _shown(text: str) -> str:
    return repr(" ".join(text.split())[:80])
