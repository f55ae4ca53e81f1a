"""The page in a real browser: what comes is seen without reloading, and nothing breaks the page's own rules."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from support.archives import Node as Archive
from support.archives import dicom_node
from support.nodes import node_config, running_node, send_images

from ctpdeploy.service.node.page import PageServer
from ctpdeploy.service.node.settings import ArchiveConfig, PageConfig

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")

TOKEN = "a token of enough letters"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # without its sandbox, which cannot be had as root and in containers; it sees these pages alone
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab; what its console complains of is an error, as a breach of the policy is."""
    context = browser.new_context()
    made = context.new_page()
    complaints: list[str] = []
    made.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    made.on("pageerror", lambda one: complaints.append(str(one)))
    yield made
    context.close()
    assert not complaints


def test_a_study_comes_and_is_done_without_reloading(tab: Any, tmp_path: Path, bundle_folder: Path, images: list[Path]):
    expect = playwright.expect
    with dicom_node(Archive()) as archive:
        config = node_config(
            tmp_path / "node",
            bundle=str(bundle_folder),
            archives=(ArchiveConfig(address=f"ARCHIVE@127.0.0.1:{archive.port}"),),
            page=PageConfig(port=0),
        )
        with running_node(config) as node:
            assert node.page
            tab.goto(node.page.address)
            expect(tab.locator("#none")).to_be_visible()
            expect(tab.locator("#health")).to_have_text("working")
            tab.evaluate("window.first = true")
            send_images(node.listener.port, images)
            study = tab.locator("details.study")
            expect(study.locator("summary")).to_contain_text("done", timeout=60_000)
            expect(study.locator("summary")).to_contain_text("1 delivered", timeout=60_000)
            study.locator("summary").press("Enter")
            picture = study.locator("img")
            expect(picture).to_be_visible()
            tab.wait_for_function("document.querySelector('details img').naturalWidth > 500")
            assert tab.evaluate("window.first"), "it was loaded again"
            text = tab.locator("body").inner_text()
            patient = dcmread(images[0])
    assert "Research use only" in text
    assert "full grid" in text
    assert f"ARCHIVE@127.0.0.1:{archive.port}" in text
    assert str(patient.PatientName) not in text
    assert str(patient.PatientID) not in text


def test_what_others_say_is_text(tab: Any, scene: Any):
    scene.study("a", reason='<img src=x onerror="document.title=1"><script>document.title = 2</script>')
    shutil.copy(Path(__file__).parents[4] / "docs" / "overview.png", scene.results / "a" / "overview.png")
    server = PageServer(PageConfig(port=0), scene.subject)
    server.start()
    try:
        tab.goto(server.address)
        tab.locator("details.study summary").click()
        playwright.expect(tab.locator("details.study li").last).to_contain_text("<script>document.title = 2</script>")
        assert tab.title() == "CTPDEPLOY – ctpdeploy node"
        assert tab.locator("button").count() == 0
    finally:
        server.close()


def test_with_the_token_a_person_tries_again_by_the_keyboard(tab: Any, scene: Any, tmp_path: Path):
    scene.ledger.receive("a")
    scene.ledger.complete("a", images=40, completeness="counted")
    scene.ledger.claim()
    scene.ledger.fail("a", "The networks returned NaN.")
    (tmp_path / "token").write_text(TOKEN)
    server = PageServer(PageConfig(port=0, token_file=str(tmp_path / "token")), scene.subject)
    server.start()
    try:
        tab.goto(f"{server.address}?token={TOKEN}")
        assert "token" not in tab.url
        playwright.expect(tab.locator("summary")).to_contain_text("failed")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        playwright.expect(tab.locator(".inside dd").last).to_have_text("The networks returned NaN.")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Space")
        playwright.expect(tab.locator("summary")).to_contain_text("complete")
        playwright.expect(tab.locator("button")).to_have_count(0)
    finally:
        server.close()
    assert [event.study for event in scene.notes] == ["a"]


def test_a_node_that_is_gone_is_said(browser: Any, scene: Any):
    """The console complains of that too, which is right."""
    context = browser.new_context()
    tab = context.new_page()
    server = PageServer(PageConfig(port=0), scene.subject)
    server.start()
    try:
        tab.goto(server.address)
        playwright.expect(tab.locator("#health")).to_have_text("working")
    finally:
        server.close()
    playwright.expect(tab.locator("#health")).to_have_text("no answer")
    context.close()
