"""The HTTP interface of the Hugging Face Hub, as far as `huggingface_hub` uses it for repositories of models."""

import base64
import hashlib
import http.server
import json
import re
from typing import Any, ClassVar

TOKEN = "hf_of_a_test"
RESOLVE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)")
API = re.compile(r"/api/models/([\w.-]+/[\w.-]+?)(?:/(preupload|commit|revision)/([^/?]+))?")
LFS = re.compile(r"/([\w.-]+/[\w.-]+?)\.git/info/lfs/objects/batch")


class FakeHub(http.server.BaseHTTPRequestHandler):
    """Repositories are lists of commits, {path: content}; the commit's name counts them.

    Weights are uploaded as large files, all else within the commit; only a bearer of TOKEN writes, and sees what is
    private.
    """

    repositories: ClassVar[dict[str, list[dict[str, bytes]]]] = {}
    private: ClassVar[set[str]] = set()
    large: ClassVar[dict[str, bytes]] = {}  # by sha256
    asked: ClassVar[list[str]] = []

    @classmethod
    def forget(cls) -> None:
        for content in (cls.repositories, cls.private, cls.large, cls.asked):
            content.clear()

    @classmethod
    def put(cls, repo: str, files: dict[str, bytes]) -> None:
        """A commit of these files alone."""
        cls.repositories.setdefault(repo, []).append(files)

    def log_message(self, format: str, *arguments: Any) -> None:
        self.asked.append(f"{self.command} {self.path}")

    def answer(self, content: bytes | Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, code: str, status: int = 404) -> None:
        self.answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    @property
    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def commits(self, repo: str) -> list[dict[str, bytes]] | None:
        return self.repositories.get(repo) if self.known or repo not in self.private else None

    def do_GET(self) -> None:
        if found := RESOLVE.fullmatch(self.path):
            self.file(*found.groups())
        elif (found := API.fullmatch(self.path)) and (commits := self.commits(found[1])) is not None:
            files = [{"rfilename": name} for name in (commits[-1] if commits else {})]
            private = found[1] in self.private
            self.answer({"id": found[1], "sha": sha_of(len(commits)), "siblings": files, "private": private})
        else:
            self.refuse("RepoNotFound", 404 if self.known else 401)

    do_HEAD = do_GET

    def file(self, repo: str, revision: str, name: str) -> None:
        commits = self.commits(repo)
        if commits is None:
            return self.refuse("RepoNotFound", 401)
        number = len(commits) if revision == "main" else {sha_of(i): i for i in range(len(commits) + 1)}.get(revision)
        if not number:
            return self.refuse("RevisionNotFound")
        if name not in commits[number - 1]:
            return self.refuse("EntryNotFound")
        content = commits[number - 1][name]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return self.answer(content, ETag=etag, X_Repo_Commit=sha_of(number))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.known:
            return self.refuse("Unauthorized", 401)
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        if found := LFS.fullmatch(self.path):
            return self.lfs(json.loads(body))
        found = API.fullmatch(self.path)
        assert found is not None, self.path
        if found[2] == "preupload":
            return self.preupload(found[1], json.loads(body))
        return self.commit(found[1], [json.loads(line) for line in body.splitlines()])

    def create(self, wanted: dict[str, Any]) -> None:
        repo = f"{wanted['organization']}/{wanted['name']}"
        self.repositories.setdefault(repo, [])
        if "private" in (wanted.get("visibility"), wanted.get("private") and "private"):
            self.private.add(repo)
        self.answer({"url": f"http://{self.headers['Host']}/{repo}"})

    def preupload(self, repo: str, wanted: dict[str, Any]) -> None:
        now = self.repositories[repo][-1] if self.repositories[repo] else {}
        files = []
        for file in wanted["files"]:
            mode = "lfs" if file["path"].endswith(".safetensors") else "regular"
            content = now.get(file["path"])
            oid = None if content is None else git_hash(content) if mode == "regular" else sha256(content)
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": files})

    def lfs(self, wanted: dict[str, Any]) -> None:
        where = f"http://{self.headers['Host']}/large"
        objects = [
            {**entry, "actions": {"upload": {"href": f"{where}/{entry['oid']}", "header": {}}}}
            for entry in wanted["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects}, Content_Type="application/vnd.git-lfs+json")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path.rpartition("/")[2] == sha256(content)
        self.large[sha256(content)] = content
        self.answer(b"")

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        commits = self.repositories[repo]
        parent = lines[0]["value"].get("parentCommit")
        if parent not in (None, sha_of(len(commits))):
            return self.refuse("the branch has moved", 412)
        files = dict(commits[-1]) if commits else {}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            else:
                assert line["key"] == "deletedFile", line["key"]
                del files[value["path"]]
        commits.append(files)
        sha = sha_of(len(commits))
        return self.answer(
            {"success": True, "commitOid": sha, "commitUrl": f"http://{self.headers['Host']}/{repo}/commit/{sha}"}
        )


def sha_of(number: int) -> str:
    """The name of a repository's commit; the first is 1, an empty one has none."""
    return f"{number:040x}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
