"""The site: built without a warning, whole without a network, shown by a real browser."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("site")
    config = ROOT / "scripts" / "book" / "mkdocs.yml"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_all_pages_are_there_and_nothing_is_fetched_from_elsewhere(site):
    for page in (*(path.stem for path in ROOT.glob("docs/*.md")), "api/layers", "CHANGELOG"):
        text = (site / page / "index.html").read_text()
        for tag in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http'):
            assert tag not in text
    layers = (site / "api" / "layers" / "index.html").read_text()
    assert "dpnn.nn.core.dense.Dense" in layers
    assert "Affine map" in layers


def test_search_has_its_words_and_its_worker_on_the_site(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    titles = [entry["title"] for entry in index["docs"] if "dispatcher" in entry["text"]]
    assert any("torch" in title for title in titles)
    (worker,) = re.findall(r'"search": "([^"]+)"', (site / "index.html").read_text())
    assert (site / worker).exists()


def test_a_browser_shows_a_page_at_a_phones_width(site, tmp_path):
    if BROWSER is None:
        pytest.skip("no Chromium")
    picture = tmp_path / "phone.png"
    page = (site / "4-the-first-seam" / "index.html").as_uri()
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000")
    command = [BROWSER, *quiet, "--window-size=500,1400", f"--screenshot={picture}", page]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert picture.stat().st_size > 20_000
