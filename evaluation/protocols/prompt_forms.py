"""Forms in which people write the same prompt: those of training captions, and those that these never have.

A form is a template of words of a scene, and a change of the whole text where no template says it:

    {plain}     a red square moves right     {subject}  a red square     {verb}     moves right
    {object}    red square                   {doing}    moving right     {move}     move right
    {shape}     square                       {colour}   red              {other}    moves from left to right

A name with a capital, such as {Doing}, begins with one. A bystander and a camera that moves are told with the
verb. tests/evaluation/protocols/test_prompt_forms.py holds that no training caption has a form of HELD_OUT.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ...data.synthetic.caption_grammar import INFINITIVES, MORE_VERBS, PARTICIPLES, VERBS, caption_of
from ...data.synthetic.scene import Scene

PLAIN = "plain"


@dataclass(frozen=True)
class Form:
    """One way to write a prompt.

    Args:
        name: of the form.
        template: of the text.
        change: of the text that the template gives.
    """

    name: str
    template: str = "{plain}"
    change: Callable[[str], str] = str

    def __call__(self, scene: Scene) -> str:
        """The prompt for a scene."""
        return self.change(self.template.format(**_words(scene)))


def _words(scene: Scene) -> dict[str, str]:
    plain, verb = caption_of(scene), VERBS[scene.motion][0]
    subject, _, rest = plain.partition(f" {verb}")
    words = {
        "plain": plain,
        "subject": subject,
        "object": subject.partition(" ")[2],
        "colour": scene.colour,
        "shape": scene.shape,
        "verb": verb + rest,
        "doing": PARTICIPLES[scene.motion][0] + rest,
        "move": INFINITIVES[scene.motion][0] + rest,
        "other": MORE_VERBS[scene.motion][-1] + rest,
    }
    return words | {name.capitalize(): text[0].upper() + text[1:] for name, text in words.items()}


def _in_title_case(text: str) -> str:
    return " ".join(word.capitalize() for word in text.split(" "))


def _in_full_width(text: str) -> str:
    """The wide letters of East Asian fonts, U+FF41 for "a"."""
    return "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in text)


def _with_accents(text: str) -> str:
    return text.replace("a", "á").replace("e", "é").replace("i", "í")


def _joined_by(sign: str) -> Callable[[str], str]:
    return lambda text: text.replace(" ", sign)


TRAINED = (
    Form(PLAIN),
    Form("full stop", "{Plain}."),
    Form("exclamation mark", "{Plain}!"),
    Form("ellipsis", "{plain}…"),
    Form("blank before the full stop", "{plain} ."),
    Form("upper case", change=str.upper),
    Form("title case", change=_in_title_case),
    Form("quotes", '"{plain}"'),
    Form("typographic quotes", "“{Plain}.”"),
    Form("emoji", "{plain} 🎬"),
    Form("quality words", "{plain}, 4k, high quality, cinematic"),
    Form("one quality word", "{plain}, masterpiece"),
    Form("quality words in a sentence", "{Plain}. Highly detailed, beautiful lighting."),
    Form("resolution", "{plain} in 4K resolution"),
    Form("a video of", "a video of {subject} {doing}"),
    Form("show me", "Show me {subject} {doing}."),
    Form("please make", "Please make {subject} {doing}"),
    Form("label", "Video: {plain}"),
    Form("participle", "{subject} {doing}"),
    Form("no article", "{object} {verb}"),
    Form("comma", "{Subject}, {doing}"),
    Form("motion first", "{doing}: {subject}"),
    Form("there is", "There is {subject} that {verb}."),
    Form("keywords", "{object}, {doing}"),
    Form("two sentences", "{Subject}. It {verb}."),
    Form("wish", "Make {subject} {move}."),
    Form("other words for the motion", "{subject} {other}"),
)

HELD_OUT = (
    # Signs.
    Form("question mark", "{plain}?"),
    Form("three exclamation marks", "{plain}!!!"),
    Form("trailing comma", "{plain},"),
    Form("semicolons", "{subject}; {doing};"),
    Form("in brackets", "({plain})"),
    Form("motion in brackets", "{subject} ({doing})"),
    Form("square brackets", "[{object}] [{doing}]"),
    Form("weights", "({object}:1.3), ({doing}:1.1)"),
    Form("markdown", "**{Subject}** {verb}"),
    Form("heading", "# {plain}"),
    Form("item of a list", "* {plain}"),
    Form("dash", "— {Plain}"),
    Form("slash", "{object} / {doing}"),
    Form("lines", "{object}\n{doing}\n"),
    Form("tabs and blanks", "\t{object}   \t {doing}  "),
    Form("hash tags", "#{colour} #{shape} {doing} #art"),
    Form("underscores", change=_joined_by("_")),
    Form("hyphens", change=_joined_by("-")),
    Form("backticks", "`{plain}`"),
    Form("HTML", "<p>{plain}</p>"),
    Form("HTML entities", "&quot;{plain}&quot; &amp; more"),
    Form("JSON", '{{"subject": "{object}", "action": "{doing}"}}'),
    Form("fields", "subject={object}; action={doing}"),
    # Characters.
    Form("full-width letters", change=_in_full_width),
    Form("accents", change=_with_accents),
    Form("marks of direction", "\u200f{plain}\u200e"),
    Form("blanks without width", change=_joined_by(" \u200b")),
    Form("another script", "{plain} 高画質 動画"),
    Form("other emoji", "🚀🎨 {plain} 👍🏽❤️"),
    # Lead-ins.
    Form("footage of", "Footage of {subject} {doing}"),
    Form("prompt", "prompt: {plain}"),
    Form("could you", "Could you render {subject} {doing}?"),
    Form("imagine", "Imagine {subject} {doing}."),
    Form("gif", "I would love a gif of {subject} {doing}, thank you"),
    Form("slash command", "/imagine {plain} --ar 1:1 --v 6"),
    Form("question and answer", "Q: what happens? A: {plain}"),
    Form("watch how", "Watch how {subject} {verb}"),
    Form("scene", "Scene 1, take 2: {Subject} {verb}."),
    # Tails.
    Form("render engine", "{plain}, octane render, volumetric light, f/1.8"),
    Form("award", "{plain}, award-winning, ultra sharp, 60 fps"),
    Form("watermark", "{plain} (loop, no text, no watermark)"),
    Form("style", "{plain}, in the style of a cartoon"),
    Form("artist", "{plain} by an unknown artist, 1985"),
    Form("web sites", "{plain}, hyperrealistic, unreal engine 5, artstation"),
    Form("long tail", "{plain}, 4k, uhd, hdr, crisp, vivid, elegant, intricate, stunning, photo"),
    # Order.
    Form("colour after the shape", "a {shape} in {colour}, {doing}"),
    Form("the shape is", "The {shape} is {colour} and it {verb}"),
    Form("colour first", "{Colour} is the {shape} that {verb}"),
    Form("what you see", "What you see: {subject}. What happens: {doing}."),
    Form("motion told last", "{Doing}, that is what {subject} does"),
)

FORMS = TRAINED + HELD_OUT
