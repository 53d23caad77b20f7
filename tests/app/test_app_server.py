"""What the server answers and what it does not: no file by path, no other site, nothing too large."""

from __future__ import annotations

import io
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from job.tiny_jobs import write_clip

from fourreal.app.guard import Guard
from fourreal.app.results import FOLDER_OF
from fourreal.app.server import (
    FORGOTTEN_UPLOAD_S,
    _remove_forgotten_uploads,
    build_app,
    listen,
    open_service,
    remove_abandoned,
)
from fourreal.app.service import Service
from fourreal.app.settings import AppSettings
from fourreal.core.errors import InputError
from fourreal.core.folder_lock import locked

HOME = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[Service]:
    environment = dict(os.environ)
    with open_service(AppSettings(max_upload_mb=1), root) as service:
        yield service
    os.environ.clear()
    os.environ.update(environment)


def event_of(config: dict[str, Any], name: str, component: int | None = None) -> int:
    """The number by which the page calls what it does when something happens."""
    return next(
        event["id"]
        for event in config["dependencies"]
        if any(target[1] == name and component in (None, target[0]) for target in event["targets"])
    )


def join(client: TestClient, event: int, data: list[Any]) -> Response:
    return client.post("/gradio_api/queue/join", json={"data": data, "fn_index": event, "session_hash": "s"})


def call(client: TestClient, event: int, data: list[Any]) -> str:
    """What the page does when something happens, and all that the server says to it."""
    joined = join(client, event, data)
    assert joined.status_code == 200, joined.text
    return client.get("/gradio_api/queue/data?session_hash=s").text


@pytest.fixture(scope="module")
def client(service: Service, root: Path) -> Iterator[TestClient]:
    with TestClient(Guard(build_app(service, root), root / "uploads", local_only=True), base_url=HOME) as client:
        yield client


def test_the_page_opens_and_fetches_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "fourreal" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert not re.search(r"https?:|\*", policy), "the policy lets something in from outside"
    fetched = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](https?:)?//", answer.text)
    assert not fetched
    theme = client.get("/theme.css")
    assert theme.status_code == 200
    assert not re.search(r"@import|url\([\"']?(?:https?:)?//", theme.text)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_session_serves_its_results_and_nothing_else(client: TestClient, service: Service) -> None:
    session, stranger = service.sessions.open(), service.sessions.open()
    (session.run_folder / "grid").mkdir(parents=True)
    (session.run_folder / "scene.html").write_text("the scene")
    (session.run_folder / "manifest.json").write_text("secret")
    (session.run_folder / ".lock").write_text("secret")
    (session.folder / "clips").mkdir()
    answer = client.get(f"/results/{session.token}/scene.html?3")
    assert (answer.status_code, answer.text) == (200, "the scene")
    assert answer.headers["cache-control"] == "no-store"
    part = client.get(f"/results/{session.token}/scene.html", headers={"Range": "bytes=4-8"})
    assert (part.status_code, part.text) == (206, "scene")
    for name in ("manifest.json", ".lock", "grid", "clips", "bullet_time.mp4", "run", "scene.htm"):
        assert client.get(f"/results/{session.token}/{name}").status_code == 404, name
    assert client.get(f"/results/{stranger.token}/scene.html").status_code == 404
    service.sessions.close(session)
    assert client.get(f"/results/{session.token}/scene.html").status_code == 404


@pytest.mark.parametrize(
    "way",
    [
        "/results/{token}/../secret.txt",
        "/results/{token}/..%2f..%2fsecret.txt",
        "/results/{token}/%2e%2e/%2e%2e/secret.txt",
        "/results/{token}/..%5c..%5csecret.txt",
        "/results/{token}//{root}/secret.txt",
        "/results/{token}/%2fetc%2fpasswd",
        "/results/../{token}/scene.html/../../secret.txt",
        "/results/..%2f..%2fsecret.txt/scene.html",
        "/results/{token}/scene.html%00.txt",
        "/gradio_api/file={root}/secret.txt",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/file/{root}/secret.txt",
        "/file={root}/secret.txt",
        "/static/../../../../../../etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/gradio/routes.py",
        "/assets//etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/custom_component/1/client/component/..%2f..%2fsecret.txt",
        "/gradio_api/runs",
        "/gradio_api/openapi.json",
        "/gradio_api/mcp/",
        "/monitoring",
        "/docs",
        "/openapi.json",
        "/results/{token}/",
        "/results/",
    ],
)
def test_no_address_leads_to_another_file(client: TestClient, service: Service, root: Path, way: str) -> None:
    (root / "secret.txt").write_text("secret of this machine")
    session = service.sessions.open()
    (session.folder / "secret.txt").write_text("secret of this machine")
    answer = client.get(way.format(token=session.token, root=root))
    assert answer.status_code in (400, 403, 404), answer.text[:200]
    assert "secret" not in answer.text
    assert "root:" not in answer.text


def test_uploads_and_calls_cannot_be_told_to_fetch_files_of_this_machine(client: TestClient, root: Path) -> None:
    (root / "secret.txt").write_text("secret of this machine")
    for address in ("/gradio_api/run/predict", "/gradio_api/call/on_upload", "/gradio_api/api/predict"):
        assert client.post(address, json={"data": []}).status_code == 404
    config = client.get("/config").json()
    drop = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "fr-fixed")
    given = {"path": str(root / "secret.txt"), "meta": {"_type": "gradio.FileData"}}
    asked = ["mini", "", "automatic", "automatic", 16, 0]
    for path in (
        root / "secret.txt",
        root / "uploads" / ".." / "secret.txt",
        "../secret.txt",
        "http://127.0.0.1:1/clip.mp4",
        "https://example.org/clip.mp4",
        "file:///etc/passwd",
        7,
    ):
        wrong = {**given, "path": path if isinstance(path, int) else str(path)}
        for data in ([wrong, *asked], [None, {"deep": [wrong]}, *asked[1:]]):
            joined = join(client, event_of(config, "upload", drop), data)
            assert joined.status_code == 403, path
    assert join(client, event_of(config, "upload", drop), ["x" * 200_000]).status_code == 413
    uploaded = client.post("/gradio_api/upload", files={"files": ("a.mp4", io.BytesIO(b"no clip"))}).json()[0]
    news = call(client, event_of(config, "upload", drop), [{**given, "path": uploaded}, *asked])
    assert "a is no video and no GIF" in news, "an honest upload does not get as far as being looked at"


def test_other_sites_and_other_names_are_turned_away(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example:7860"}).status_code == 421
    assert client.get("/", headers={"Host": "127.0.0.1.evil.example"}).status_code == 421
    assert client.get("/", headers={"Host": "localhost:7860"}).status_code == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        assert client.post("/gradio_api/upload", headers={"Origin": origin}).status_code == 403
    assert client.get("/config", headers={"Origin": HOME}).status_code == 200


def test_uploads_have_a_limit(client: TestClient, root: Path) -> None:
    small = client.post("/gradio_api/upload", files={"files": ("a.mp4", io.BytesIO(bytes(1000)))})
    assert small.status_code == 200
    assert Path(small.json()[0]).is_relative_to(root / "uploads")
    before = {path for path in (root / "uploads").rglob("*") if path.is_file()}
    large = client.post("/gradio_api/upload", files={"files": ("a.mp4", io.BytesIO(bytes(1_100_000)))})
    assert large.status_code == 413
    after = {path for path in (root / "uploads").rglob("*") if path.is_file()}
    assert sum(path.stat().st_size for path in after - before) <= 1_000_000, "a refused upload fills the disk"
    escaping = client.post("/gradio_api/upload", files={"files": ("../../../escaped.mp4", io.BytesIO(b"x"))})
    assert escaping.status_code >= 400 or Path(escaping.json()[0]).resolve().is_relative_to(root / "uploads")


def test_every_result_has_an_open_address() -> None:
    guard = Guard(lambda *_: pytest.fail("not reached"), Path("uploads"), local_only=True)
    for name in FOLDER_OF:
        scope = {"path": f"/results/{'0' * 32}/{name}", "headers": [(b"host", b"127.0.0.1:1")]}
        assert guard.refusal(scope) is None, name


def test_a_server_for_others_answers_to_any_name_but_not_to_other_sites() -> None:
    guard = Guard(lambda *_: pytest.fail("not reached"), Path("uploads"), local_only=False)
    assert guard.refusal({"path": "/", "headers": [(b"host", b"studio.example")]}) is None
    foreign = [(b"host", b"studio.example"), (b"origin", b"http://evil.example")]
    assert guard.refusal({"path": "/", "headers": foreign}) == 403


def test_a_busy_port_gives_the_next_and_nonsense_is_said() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with listen("127.0.0.1", port) as found:
            assert found.getsockname()[0] == "127.0.0.1"
            assert found.getsockname()[1] > port
    for wrong in (("192.0.2.1", 7860), ("127.0.0.1", 99999)):
        with pytest.raises(InputError, match="cannot listen"):
            listen(*wrong)


def test_only_other_hosts_are_not_local() -> None:
    assert all(AppSettings(host=host).local_only for host in ("127.0.0.1", "localhost", "::1"))
    assert not any(AppSettings(host=host).local_only for host in ("0.0.0.0", "192.168.0.1", "::"))


def test_folders_of_killed_servers_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    for name in ("fourreal-app-dead", "fourreal-app-alive", "something-else"):
        (tmp_path / name / "sessions").mkdir(parents=True)
    with locked(tmp_path / "fourreal-app-alive"):
        remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fourreal-app-alive", "something-else"]


def test_uploads_that_nobody_took_go(tmp_path: Path) -> None:
    old, new = write_clip(tmp_path / "old.mp4"), write_clip(tmp_path / "new.mp4")
    then = time.time() - FORGOTTEN_UPLOAD_S - 10
    os.utime(old, (then, then))
    _remove_forgotten_uploads(tmp_path)
    assert not old.exists()
    assert new.exists()
