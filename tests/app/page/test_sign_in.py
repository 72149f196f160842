"""A browser gives its token once; no cookie is read where there is no such page."""

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from videolm.app.page.sign_in import PATH, add_sign_in
from videolm.app.server.access import Access, owner_of

TOKENS = ("first-token", "zweites Kürzel; mit = und \"Zeichen\"")


def owner(request: Request) -> str:
    return request.state.owner


def client(sign_in: str | None = PATH) -> TestClient:
    app = FastAPI()
    app.add_api_route("/", owner, response_model=None)
    add_sign_in(app, TOKENS)
    app.add_middleware(Access, tokens=TOKENS, sign_in=sign_in)
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


@pytest.mark.parametrize("token", TOKENS)
def test_a_browser_is_sent_to_sign_in_and_is_its_owner_afterwards(token):
    with client() as asking:
        sent = asking.get("/", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["location"]) == (303, PATH)
        assert asking.get("/").status_code == 401
        assert 'name="token"' in asking.get(PATH).text
        taken = asking.post(PATH, data={"token": token})
        assert taken.status_code == 303
        cookie = taken.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and token not in cookie
        assert asking.get("/").json() == owner_of(token)


def test_a_wrong_token_and_a_wrong_cookie_open_nothing():
    with client() as asking:
        refused = asking.post(PATH, data={"token": "<b>wrong</b>"})
        assert refused.status_code == 403 and "wrong" not in refused.text
        assert "set-cookie" not in refused.headers
        for cookie in ("videolm_token=%%%", "videolm_token=Zmlyc3Q=", "videolm_token", "x=y"):
            assert asking.get("/", headers={"Cookie": cookie}).status_code == 401


def test_without_a_page_a_cookie_is_nothing():
    with client() as asking:
        cookie = asking.post(PATH, data={"token": TOKENS[0]}).headers["set-cookie"].split(";")[0]
    with client(sign_in=None) as asking:
        assert asking.get("/", headers={"Cookie": cookie}).status_code == 401


def test_a_link_leads_to_the_page_and_to_nothing_else():
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with client() as asking:
        assert asking.get("/", headers=followed | {"Accept": "text/html"}).status_code == 303
        assert asking.get(PATH, headers=followed).status_code == 403
        assert asking.post("/", headers=followed).status_code == 403
        assert asking.get("/", headers=followed | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
