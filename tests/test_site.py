"""The site: built without a warning, whole without a network, shown by a real browser."""

import functools
import json
import queue
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
SEARCH = """<iframe src="/index.html" width="1200" height="900"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => setInterval(() => {
  const page = frame.contentDocument, input = page.querySelector(".md-search__input");
  input.focus();
  input.value = "dispatcher";
  input.dispatchEvent(new Event("keyup", {bubbles: true}));
  const link = page.querySelector(".md-search-result__link");
  if (link) fetch("/found" + link.pathname);
}, 200);
</script>"""

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
        assert "# not run" not in text
    layers = (site / "api" / "layers" / "index.html").read_text()
    assert "dpnn.nn.core.dense.Dense" in layers
    assert "Affine map" in layers
    assert "<td><code>weights (size,)</code></td><td>the flat vector;" in layers
    assert "x (B, …, C) -&gt; y (B, …, C). Ba et al. 2016." in layers, "words stay words"


def test_search_has_its_words_and_its_worker_on_the_site(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    titles = [entry["title"] for entry in index["docs"] if "dispatcher" in entry["text"]]
    assert any("torch" in title for title in titles)
    (worker,) = re.findall(r'"search": "([^"]+)"', (site / "index.html").read_text())
    assert (site / worker).exists()


@contextmanager
def served(folder, found):
    """The site's address, with a page that types a word into its search and tells the first hit."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/found"):
                found.put(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    (folder / "search.html").write_text(SEARCH)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_search_finds_a_word_in_a_browser_without_a_network(site, tmp_path):
    if BROWSER is None:
        pytest.skip("no Chromium")
    found = queue.Queue()
    with served(site, found) as address:
        options = (*QUIET, "--disable-background-networking", "--remote-debugging-port=0")
        command = [BROWSER, *options, f"--user-data-dir={tmp_path}", f"{address}/search.html"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert found.get(timeout=60) == "/found/4-the-first-seam/"
        finally:
            browser.terminate()
            browser.wait()


def test_a_browser_shows_a_page_at_a_phones_width(site, tmp_path):
    if BROWSER is None:
        pytest.skip("no Chromium")
    picture = tmp_path / "phone.png"
    page = (site / "4-the-first-seam" / "index.html").as_uri()
    size = ("--virtual-time-budget=5000", "--window-size=500,1400")
    command = [BROWSER, *QUIET, *size, f"--screenshot={picture}", page]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert picture.stat().st_size > 20_000
