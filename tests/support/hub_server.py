"""A hub on loopback that speaks what huggingface_hub needs to download a model and to upload one.

    with HubServer({"user/name": {"config.json": b"…"}}) as hub:
        hub.endpoint                                # for HF_ENDPOINT
        hub.repositories["user/name"].files("main") # what is there

A commit is the SHA-1 of its files. Tokens: repositories may ask for one; any other is refused.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_good"
Files = dict[str, bytes]


def commit_of(files: Files) -> str:
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name])
    return digest.hexdigest()


@dataclass
class Repository:
    """Commits by their hash, and the branches that name them."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    needs_token: bool = False
    is_gated: bool = False
    is_private: bool = False
    messages: list[str] = field(default_factory=list)

    def put(self, files: Files, branch: str = "main") -> str:
        commit = commit_of(files)
        self.commits[commit], self.branches[branch] = dict(files), commit
        return commit

    def files(self, revision: str) -> Files:
        return self.commits[self.branches.get(revision, revision)]


class HubServer:
    """The server, in a thread of its own.

    Attributes:
        requests: method and path of each request so far.
        status: answers every request, if set, with this error.
    """

    def __init__(self, repositories: Mapping[str, Files] | None = None):
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.status: int | None = None
        for name, files in (repositories or {}).items():
            self.repositories[name] = Repository()
            self.repositories[name].put(files)

    def __enter__(self) -> "HubServer":
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", url: str = ""):
        self.status, self.code, self.message, self.url = status, code, message, url


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        path = unquote(urlsplit(self.path).path)
        query = parse_qs(urlsplit(self.path).query)
        self.server_hub.requests.append(f"{method} {path}")
        try:
            if self.server_hub.status is not None:
                raise Refusal(self.server_hub.status)
            answer, headers = self._routed(method, path, query, body)
        except Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            said = {"error": refusal.message, "url": refusal.url}
            self._send(refusal.status, json.dumps(said).encode(), headers, method)
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self._send(200, content, headers, method)

    def _chunks(self) -> bytes:
        """The body of a request whose length is not said."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return b""
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, content: bytes, headers: dict[str, str], method: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(content)

    def _routed(self, method: str, path: str, query: Any, body: bytes) -> tuple[Any, dict[str, str]]:
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}, {}
        if path == "/api/repos/create":
            return self._create(json.loads(body)), {}
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+)(?:/(.+))?)?", path):
            repository = self._repository(match[1])
            return self._api(match[1], repository, match[2] or "revision", match[3] or "main", body), {}
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            files, commit = self._files(self._repository(match[1]), match[2])
            if match[3] not in files:
                raise Refusal(404, "EntryNotFound")
            return files[match[3]], {"ETag": f'"{_oid(files[match[3]])}"', "X-Repo-Commit": commit}
        raise Refusal(404, message=f"no {path}")

    def _repository(self, name: str) -> Repository:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            raise Refusal(401, message="Invalid credentials in Authorization header")
        repository = self.server_hub.repositories.get(name)
        if repository is None or (repository.needs_token and not token):
            raise Refusal(404 if token else 401, "RepoNotFound")
        if repository.is_gated:
            raise Refusal(403, "GatedRepo")
        return repository

    def _files(self, repository: Repository, revision: str) -> tuple[Files, str]:
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise Refusal(404, "RevisionNotFound")
        return repository.commits[commit], commit

    def _create(self, asked: dict[str, Any]) -> dict[str, str]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, message="Invalid credentials in Authorization header")
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.server_hub.endpoint}/{name}"
        if name in self.server_hub.repositories:
            raise Refusal(409, message="You already created this model repo", url=url)
        self.server_hub.repositories[name] = Repository(is_private=asked.get("visibility") == "private")
        self.server_hub.repositories[name].put({})
        return {"url": url, "name": name}

    def _api(self, name: str, repository: Repository, what: str, rest: str, body: bytes) -> Any:
        if what in ("branch", "preupload", "commit") and TOKEN not in self.headers.get("Authorization", ""):
            raise Refusal(403, message="a token with the right to write is needed")
        if what == "branch":
            repository.branches.setdefault(rest, repository.branches["main"])
            return {}
        if what == "preupload":
            files, _ = self._files(repository, rest)
            return {"files": [_upload_mode(each, files) for each in json.loads(body)["files"]]}
        if what == "commit":
            return self._commit(name, repository, rest, body)
        files, commit = self._files(repository, rest.partition("/")[0] if what == "tree" else rest)
        if what == "tree":
            return [
                {"type": "file", "path": path, "size": len(each), "oid": _oid(each)}
                for path, each in sorted(files.items())
            ]
        siblings = [{"rfilename": path, "size": len(each)} for path, each in sorted(files.items())]
        return {"id": name, "sha": commit, "siblings": siblings, "private": repository.is_private}

    def _commit(self, name: str, repository: Repository, branch: str, body: bytes) -> dict[str, Any]:
        files = dict(repository.files(branch))
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                repository.messages.append(value["summary"])
            elif operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise Refusal(400, message=f"no {operation['key']}")
        commit = repository.put(files, branch)
        url = f"{self.server_hub.endpoint}/{name}/commit/{commit}"
        return {"commitUrl": url, "commitOid": commit, "success": True}


def _oid(content: bytes) -> str:
    """As git names a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _upload_mode(asked: dict[str, Any], files: Files) -> dict[str, Any]:
    there = files.get(asked["path"])
    oid = None if there is None else _oid(there)
    return {"path": asked["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": oid}
