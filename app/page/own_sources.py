"""The browser itself is told to load nothing from elsewhere, and to show a page in no other page."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Gradio's page has scripts and styles in its text, and builds functions of texts.
GRADIO_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
_HEADERS = (
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class OwnSources:
    """Adds these headers to every answer of an application.

    Args:
        policy: what a page may load, as of Content-Security-Policy.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], policy: str = GRADIO_POLICY):
        self.app, self.headers = app, ((b"content-security-policy", policy.encode()), *_HEADERS)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", ())}
                added = [each for each in self.headers if each[0] not in given]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self.app(scope, receive, sent)
