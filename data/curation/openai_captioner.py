"""Captions by an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, or a hosted one.

POST {address}/chat/completions, pictures as JPEG data URLs. A key, if the server asks for one, is taken from
the environment (VIDEOLM_API_KEY), never from the command line, where other users of a machine see it.
"""

import base64
import io
import json
import os
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image

from .answers import caption_of
from .captioner import Pictures, Unanswered, Unreachable, Unusable

KEY = "VIDEOLM_API_KEY"
_MAX_TOKENS, _MOST_TOKENS = 512, 4096
_CUT_OFF = ("length", "max_tokens")  # reasons of an end
_ANSWER_BYTES = 2**22
_SHOWN_BYTES = 500  # of an answer that is an error
_JPEG_QUALITY = 90
# Answers that no repetition changes, of this request and of any; 3xx is a redirection, which is not followed.
_BUSY = {408, 409, 425, 429}
_NEVER = {301, 302, 303, 307, 308, 401, 403, 404, 405}


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server, and when to ask again.

    Args:
        seconds: for one answer.
        pauses: before each repetition of a request that failed; as many repetitions as there are pauses.
        longest_pause: even where a server asks for a longer one (Retry-After).
    """

    seconds: float = 120.0
    pauses: tuple[float, ...] = (1.0, 4.0, 16.0)
    longest_pause: float = 60.0


class ServerCaptioner:
    """A model behind chat completions.

    Args:
        address: http:// or https://, up to and with the version: http://localhost:8000/v1.
        name: of the model.

    Raises:
        ValueError: if the address is none.
    """

    at_once = 4
    follows = True

    def __init__(self, address: str, name: str, retries: RetryPolicy = RetryPolicy()):
        if not _is_web_address(address):
            raise ValueError(f"{address} is no address; expected one such as http://localhost:8000/v1")
        self.address = address.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self.name, self.retries = name, retries
        self._client = _client(retries)

    def __call__(self, prompt: str | None, pictures: Pictures = ()) -> str:
        if prompt is None:
            raise ValueError("a server is told what to do by a prompt; it is missing")
        shown = [{"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures]
        content = [*shown, {"type": "text", "text": prompt}] if shown else prompt
        messages = [{"role": "user", "content": content}]
        request = {"model": self.name, "messages": messages, "max_tokens": _MAX_TOKENS, "temperature": 0}
        text, reason = self._answer(json.dumps(request).encode())
        if reason in _CUT_OFF:  # thoughts may have taken them all
            request |= {"max_tokens": _MOST_TOKENS}
            text, reason = self._answer(json.dumps(request).encode())
        if reason == "content_filter":
            raise Unusable("the answer is held back by the server's filter")
        if not isinstance(text, str):
            raise Unusable(f"the answer is {text!r}; expected a text")
        return caption_of(text, is_whole=reason not in _CUT_OFF)

    def _answer(self, body: bytes) -> tuple[Any, Any]:
        """The content of an answer and why it ended.

        A request is repeated if it was the connection or the server that failed.

        Raises:
            Unanswered, Unreachable: as `Captioner`.
        """
        failure: Exception = Unanswered("no answer")
        for pause in (0.0, *self.retries.pauses):
            time.sleep(max(pause, _asked_pause(failure, self.retries.longest_pause)) if pause else 0.0)
            try:
                return _content(self._reply(body))
            except httpx.HTTPStatusError as error:
                failure, code = error, error.response.status_code
                if code in _NEVER:
                    raise Unreachable(self._said(error)) from error
                if code < 500 and code not in _BUSY:
                    raise Unanswered(self._said(error)) from error
            except (httpx.HTTPError, TimeoutError, ValueError) as error:
                failure = error
        answering = (httpx.HTTPStatusError, httpx.ReadTimeout, TimeoutError, ValueError)
        is_answering = isinstance(failure, answering)
        raise (Unanswered if is_answering else Unreachable)(self._said(failure)) from failure

    def _reply(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        deadline = time.monotonic() + self.retries.seconds
        with self._client.stream("POST", self.address, content=body, headers=headers) as reply:
            if not reply.is_success:
                raise httpx.HTTPStatusError(_beginning(reply), request=reply.request, response=reply)
            received = b""
            for part in reply.iter_raw():  # a server that trickles is given up, too
                received += part
                if len(received) > _ANSWER_BYTES or time.monotonic() > deadline:
                    raise TimeoutError("the answer does not come to an end")
        return received

    def _said(self, error: Exception) -> str:
        if isinstance(error, httpx.HTTPStatusError):
            reply = error.response
            return f"{self.address} answers {reply.status_code} {reply.reason_phrase} {error}".rstrip()
        return f"{self.address} gives no answer: {str(error) or type(error).__name__}"


def _is_web_address(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _client(retries: RetryPolicy) -> httpx.Client:
    """A client that follows no redirection, which would carry the key to another host."""
    # The system's certificates; a connection for each request, since minutes may lie between two.
    trusted, limits = ssl.create_default_context(), httpx.Limits(max_keepalive_connections=0)
    try:
        return httpx.Client(
            timeout=retries.seconds, follow_redirects=False, verify=trusted, limits=limits
        )
    except ImportError as error:  # of a kind of proxy that the environment names
        raise ValueError(str(error)) from error


def _asked_pause(failure: Exception, longest: float) -> float:
    """Seconds that a server asks to be left alone."""
    if not isinstance(failure, httpx.HTTPStatusError):
        return 0.0
    asked = failure.response.headers.get("Retry-After", "")
    return min(float(asked), longest) if asked.isdecimal() else 0.0


def _beginning(reply: httpx.Response) -> str:
    """The first words of the body of an answer, as far as they come."""
    received = b""
    with suppress(httpx.HTTPError):
        for part in reply.iter_raw():
            received += part
            if len(received) >= _SHOWN_BYTES:
                break
    return " ".join(received[:_SHOWN_BYTES].decode("utf-8", "replace").split())


def _content(reply: bytes) -> tuple[Any, Any]:
    """The content and the reason of the end of a completion; a refusal has its own place beside them."""
    try:
        choice = json.loads(reply)["choices"][0]
        message = choice["message"]
        content = message["content"]
        if not content and isinstance(message.get("refusal"), str):
            content = f"I'm sorry: {message['refusal']}"
        return content, choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"what comes is no chat completion ({reply[:60]!r})") from error


def _data_url(picture: Any) -> str:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, format="jpeg", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
