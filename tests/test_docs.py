"""The pages: their code runs as it stands there, prints what they say, and their links lead on."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dpnn import nn

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))


def script(name):
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = script("book/pages")
notebook = script("book/notebook")
count_lines = script("count_lines")


def chapters():
    """Those on Spark take a minute and more."""
    on_spark = {n for n in pages.CHAPTERS if "pyspark" in pages.page(n).read_text()}
    marks = {number: [pytest.mark.slow] for number in on_spark}
    return [pytest.param(number, marks=marks.get(number, [])) for number in pages.CHAPTERS]


@pytest.mark.parametrize("number", chapters())
def test_a_chapter_prints_what_it_says(number):
    if "import torch" in pages.page(number).read_text():
        pytest.importorskip("torch")
    command = [sys.executable, ROOT / "scripts" / "book" / "draw.py", "--check", number]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_map_names_what_is_there():
    text = pages.page("6").read_text()
    table = text[text.index("## The map") : text.index("## Try it")]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    named = [re.findall(r"`([^`]+)`", row[1]) for row in rows]
    named = [names for names in named if names]
    assert len(named) >= 25
    for file, name in named:
        assert name in defined(ROOT / "dpnn" / file), f"{file} has no {name}"


def defined(path):
    """The functions and classes of a file, and the methods as Class.method."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        name = getattr(node, "name", None)
        below = node.body if isinstance(node, ast.ClassDef) else []
        found |= {name} | {f"{name}.{one.name}" for one in below if hasattr(one, "name")}
    return found


def test_the_chapters_library_has_no_more_lines_than_it_says():
    text = pages.page("3").read_text()
    grown = text[text.index("## Grow a library") : text.index("### It reads handwriting")]
    code = "".join(block.code for block in pages.blocks(grown))
    assert 80 < count_lines.measure(code).lines < 120


class Gate(nn.Layer):
    """What chapter 3 asks for at its end, by its own rules: y = (x W) · σ(x V)."""

    units: int

    def shapes(self, x, ctx):
        (size,) = x
        weights = nn.Param((size, self.units), "glorot")
        return {"W": weights, "V": weights}, (self.units,)

    def forward(self, p, x, ctx):
        a = x @ p["W"]
        s = 1 / (1 + ctx.xp.exp(-(x @ p["V"])))
        return a * s, (x, a, s)

    def backward(self, p, g, cache, dy, ctx):
        x, a, s = cache
        da = dy * s
        dv = dy * a * s * (1 - s)
        g["W"][...] = x.T @ da
        g["V"][...] = x.T @ dv
        return da @ p["W"].T + dv @ p["V"].T


class Forgetful(Gate):
    """Leaves a window as it was."""

    def backward(self, p, g, cache, dy, ctx):
        return super().backward(p, g | {"V": np.empty_like(g["V"])}, cache, dy, ctx)


def test_the_chapters_rules_are_enough_for_a_gated_layer():
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert nn.gradient_check(Gate(4), x) < 1e-6
    assert nn.Sequential(nn.Dense(8), Gate(4)).build(6).output_shape == (4,)
    with pytest.raises(AssertionError, match=r"V\[0, 0\]: backward nan, numeric"):
        nn.gradient_check(Forgetful(4), x)


class Gated:
    """The same with biases, y = σ(x W + b) · (x V + c), for the library that chapter 3 grows."""

    def __init__(self, units):
        self.units = units

    def shapes(self, size):
        matrix, row = (size, self.units), (self.units,)
        return {"W": matrix, "b": row, "V": matrix, "c": row}, self.units

    def forward(self, p, x):
        s = 1 / (1 + np.exp(-(x @ p["W"] + p["b"])))
        v = x @ p["V"] + p["c"]
        return s * v, (x, s, v)

    def backward(self, p, g, cache, dy):
        x, s, v = cache
        da = dy * v * s * (1 - s)
        dv = dy * s
        np.dot(x.T, da, out=g["W"])
        np.sum(da, axis=0, out=g["b"])
        np.dot(x.T, dv, out=g["V"])
        np.sum(dv, axis=0, out=g["c"])
        return da @ p["W"].T + dv @ p["V"].T


class Halved(Gated):
    """Hands half of dx on."""

    def backward(self, p, g, cache, dy):
        return 0.5 * super().backward(p, g, cache, dy)


def test_the_chapters_own_library_checks_a_gated_layer():
    text = pages.page("3").read_text()
    grown = text[text.index("## Grow a library") : text.index("### It reads handwriting")]
    check = text[text.index("def gradient_check") : text.index("small = Network(")]
    names = {}
    exec("".join(block.code for block in pages.blocks(grown)) + check, names)
    x = np.random.default_rng(0).standard_normal((6, 4))

    def worst(layer):
        network = names["Network"](names["Sequential"](names["Dense"](5), layer), size=4)
        loss = names["softmax_cross_entropy"]
        return names["gradient_check"](network, x, np.arange(6) % 3, loss)

    assert worst(Gated(3)) < 1e-6
    assert worst(Halved(3)) > 1e-3


@pytest.mark.parametrize("name", ["cheat-sheet.md"])
def test_a_page_of_numpy_prints_what_it_says(name):
    now, _ = pages.run(DOCS / name)
    assert not pages.differences((DOCS / name).read_text(), now)


@pytest.mark.parametrize("number", notebook.NOTEBOOKS)
def test_a_notebook_is_made_from_its_page(number):
    made = notebook.of(pages.page(number).read_text())
    assert notebook.path(number).read_text() == made, "run scripts/book/notebook.py"


@pytest.mark.slow
@pytest.mark.parametrize("number", notebook.NOTEBOOKS)
def test_a_notebook_runs_headless(number):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    book = nbformat.read(notebook.path(number), as_version=4)
    nbformat.validate(book)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    printed = [out.text for cell in book.cells for out in cell.get("outputs", []) if "text" in out]
    said = [block for block in pages.blocks(pages.page(number).read_text()) if block.printed]
    assert len(printed) == len(said)
    for text, block in zip(printed, said, strict=True):
        assert block.measured or text == block.printed


PAGE = """\
```python
print("a", 1)
```

```text
{said}
```

```python
print("b", 0.25, "ms")
```

```text measured
b   0.75 ms
```
"""


@pytest.mark.parametrize(("said", "wrong"), [("a 1", 0), ("a 2", 1)])
def test_a_page_that_says_other_than_it_prints_is_found(tmp_path, said, wrong):
    (tmp_path / "page.md").write_text(PAGE.format(said=said))
    now, _ = pages.run(tmp_path / "page.md")
    assert now == PAGE.format(said="a 1").replace("b   0.75", "b 0.25")
    assert len(pages.differences(PAGE.format(said=said), now)) == wrong


def test_measured_numbers_may_differ_and_words_may_not():
    page = PAGE.format(said="a 1")
    assert not pages.differences(page, page.replace("0.75", "1,024.5"))
    assert pages.differences(page, page.replace("0.75 ms", "0.75 s"))


def test_what_is_printed_must_be_told(tmp_path):
    (tmp_path / "page.md").write_text("```python\nprint(1)\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:2 prints, but no text block says what"):
        pages.run(tmp_path / "page.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_that_a_page_names_are_there(path):
    if path.name == "CHANGELOG.md":
        pytest.skip("it tells of files that are gone")
    for name in re.findall(r"`([\w./-]+\.(?:py|sh|toml|md))`", path.read_text()):
        homes = (ROOT, ROOT / "dpnn", ROOT / "dpnn/nn/core", ROOT / "scripts")
        found = [home / name for home in homes if (home / name).exists()]
        assert found or list((ROOT / "dpnn").rglob(name)), name


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_shown_and_readable_in_the_dark(picture):
    shown = [path for path in PAGES if f"pictures/{picture.name}" in path.read_text()]
    assert shown, "no page shows it"
    text = picture.read_text()
    assert "prefers-color-scheme:dark" in text
    assert "<title>" in text
    assert "<text" not in text, "letters must be outlines"


BENCH = """## Speed

```bash
scripts/bench.sh nn --seconds 1
```

```text measured

1 thread(s), matrix product 90 GFLOP/s
                              dpnn ms  torch ms  dpnn/torch  by hand/torch
MLP 64-32-10, batch 128         0.171     0.684        0.25          0.30

2 thread(s), matrix product 180 GFLOP/s
MLP 64-32-10, batch 128         0.171     0.684        0.30          0.31
    in 2 tasks                  0.700     0.684        1.02
```
"""


@pytest.fixture
def book(monkeypatch):
    """The scripts of the book, by name."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "book")
    return importlib.import_module


def test_readmes_plot_reads_what_the_benchmarks_print(book):
    pytest.importorskip("matplotlib")
    plots = book("pictures_readme")
    ((command, printed),) = book("benches").quoted(BENCH)
    assert command == "nn --seconds 1"
    assert plots.shares_of_torch(printed) == {"MLP 64-32-10, batch 128": (0.25, 1.02)}
    assert plots.seconds_an_epoch(
        "  resident         0.412     1.00 x resident\n"
        "  torch, 1 process, 2 threads   0.4     0.97 x resident\n"
        "  dpnn jobs/train.py        19.5     1.00 x dpnn\n"
    ) == {"resident": 0.412, "torch, 1 process, 2 threads": 0.4}


def test_readmes_own_benchmarks_can_be_drawn(book):
    pytest.importorskip("matplotlib")
    plots = book("pictures_readme")
    said = dict(book("benches").quoted((ROOT / "README.md").read_text()))
    assert len(plots.seconds_an_epoch(said["mnist FOLDER/mnist --commands 1 --mllib 5"])) == 4
    assert len(plots.shares_of_torch(said["nn"])) == 10


def test_a_quoted_benchmark_is_run_and_written_below_its_command(book, monkeypatch, tmp_path):
    benches = book("benches")
    monkeypatch.setattr(benches.pages, "ROOT", tmp_path)
    (tmp_path / "scripts/bench").mkdir(parents=True)
    for name in ("nn", "exchange"):
        script = tmp_path / f"scripts/bench/{name}.py"
        script.write_text("import sys\nprint('\\ntook', *sys.argv[1:], '  ')\n")
    page = tmp_path / "page.md"
    other = "```bash\nscripts/bench.sh exchange FOLDER/mnist\n```\n\n```text measured\nold\n```\n"
    page.write_text(BENCH + other)
    benches.renew(page, ["nn"], None)
    commands = dict(benches.quoted(page.read_text()))
    assert commands == {"nn --seconds 1": "took --seconds 1\n", "exchange FOLDER/mnist": "old\n"}
    benches.renew(page, ["exchange"], None)
    assert page.read_text().endswith(other)
    benches.renew(page, ["exchange"], Path("/data"))
    assert dict(benches.quoted(page.read_text()))["exchange FOLDER/mnist"] == "took /data/mnist\n"


OWN = """```bash
scripts/train.sh
```

```text
dpnn: epoch 14/15  loss 0.1
```

```python
from pathlib import Path
Path("own.txt").write_text("kept nowhere")
print(spark, sorted(path.name for path in Path("adult").iterdir()))
```

```text measured
a session []
```
"""


def test_a_page_with_a_session_is_run_in_a_folder_of_its_own(book, monkeypatch, tmp_path):
    front = book("front")
    page = tmp_path / "README.md"
    page.write_text(OWN)
    monkeypatch.setattr(front, "README", page)
    monkeypatch.setattr(front, "_session", lambda: "a session")
    monkeypatch.setattr(front, "first_run", lambda: "dpnn: epoch 14/15  loss 0.05\nmodel …\n")
    front.renew("readme", tmp_path)
    said = OWN.replace("0.1\n", "0.05\nmodel …\n").replace("[]", "['test', 'train']")
    assert page.read_text() == said
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_page_that_reads_tables_is_left_alone_without_them(book):
    page = DOCS / "a-table-in-ten-lines.md"
    before = page.read_text()
    book("front").renew("a-table-in-ten-lines", None)
    assert page.read_text() == before
