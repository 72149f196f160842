"""Where a browser gives its token once, if the server asks for one: it is kept in a cookie of the session."""

from html import escape

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ..server.access import COOKIE, cookie_of, owner_of

PATH = "/sign-in"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>videolm: sign in</title><style>
body {{ font-family: system-ui, sans-serif; max-width: 24rem; margin: 15vh auto; padding: 0 1rem;
  color-scheme: light dark; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; margin-top: .5rem; }}
</style></head><body><h1>videolm</h1>{problem}<form method="post"><label>Token
<input name="token" type="password" autocomplete="current-password" required autofocus></label>
<button>Sign in</button></form></body></html>"""


def add_sign_in(app: FastAPI, tokens: tuple[str, ...]) -> None:
    """Let browsers sign in with one of these tokens."""
    owners = {owner_of(token) for token in tokens}

    def ask() -> Response:
        return HTMLResponse(_page())

    def sign_in(request: Request, token: str = Form(max_length=4096)) -> Response:
        if owner_of(token.strip()) not in owners:
            return HTMLResponse(_page("This token is not known."), 403)
        answer = RedirectResponse("./", 303)
        is_safe = request.url.scheme == "https"
        answer.set_cookie(COOKIE, cookie_of(token.strip()), httponly=True, samesite="strict", secure=is_safe)
        return answer

    app.add_api_route(PATH, ask, methods=["GET"], response_model=None)
    app.add_api_route(PATH, sign_in, methods=["POST"], response_model=None)


def _page(problem: str = "") -> str:
    return _PAGE.format(problem=f'<p role="alert">{escape(problem)}</p>' if problem else "")
