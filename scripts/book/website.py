"""What the site has beside docs/: README and its neighbours, and the reference from docstrings.

Hooks of mkdocs, named in mkdocs.yml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: name for name in ("CONTRIBUTING.md", "CHANGELOG.md")} | {"index.md": "README.md"}
CORE = "dense activations compose conv attention recurrent norm"
MORE = "layers shaping pooling embedding recurrent normalization branches numbers tabular ensemble"
REFERENCE: dict[str, dict[str, tuple[str, ...]]] = {
    "training": {
        "Training": ("training.trainer.Trainer", "training.result.Result", "training.events"),
        "Data": ("data.dataset.Dataset", "data.encoders.wishes.columns", "recipes"),
        "Models": ("models.model.TrainedModel", "models.model.load"),
    },
    "layers": {
        "What a layer is": ("nn.core.layer.Layer", "nn.core.network.Network"),
        "Layers": tuple(f"nn.core.{name}" for name in CORE.split()),
        "More layers": tuple(f"nn.more.{name}" for name in MORE.split()),
        "The check": ("nn.core.gradcheck.gradient_check",),
    },
    "losses": {
        "Losses": ("nn.core.losses", "nn.more.losses"),
        "Optimizers": ("nn.core.optim", "nn.more.optimizers", "nn.more.lbfgs"),
        "Schedules": ("nn.more.schedules",),
        "Metrics": ("nn.more.metrics",),
    },
    "ml": {"Estimators": ("ml.classification", "ml.regression", "ml.perceptron")},
}
STYLE = """\
.fields td { padding: 0.1em 1em 0.1em 0; vertical-align: top; }
.md-typeset td code { white-space: nowrap; }
.md-typeset .fields code { white-space: normal; word-break: normal; }
"""
_FIELD = re.compile(r"(\S.*?) {2,}(\S.*)")  # a line of a docstring: a name, spaces, what it is


def on_files(files: Any, config: Any) -> Any:
    for uri, source in PAGES.items():
        content = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, uri, content=content.replace("](docs/", "](")))
    for name, parts in REFERENCE.items():
        files.append(File.generated(config, f"api/{name}.md", content=_reference(parts)))
    files.append(File.generated(config, "site.css", content=STYLE))
    return files


def on_page_markdown(text: str, page: Any, files: Any, **_: Any) -> str:
    """Links to what the site hasn't become their words; marks for the tests are left out."""

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        target = target.removeprefix("../").replace("README.md", "index.md")
        there = files.get_file_from_path(target.partition("#")[0])
        return f"[{words}]({target})" if there or target.startswith(("#", "http")) else words

    text = text.replace("```text measured", "```text").replace(
        "```python\n# not run\n", "```python\n"
    )
    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def on_page_content(html: str, **_: Any) -> str:
    """Where docstrings line fields up, in plain text, the page has a table."""

    def table(found: re.Match[str]) -> str:
        rows: list[list[str]] = []
        for line in found[1].split("\n"):
            field = _FIELD.fullmatch(line)
            if field:
                rows.append([field[1], field[2]])
            elif rows and line.startswith("    "):
                rows[-1][1] += " " + line.strip()
            else:
                return found[0]
        cells = (f"<tr><td><code>{name}</code></td><td>{what}</td></tr>" for name, what in rows)
        return f'<table class="fields">{"".join(cells)}</table>'

    return re.sub(r"<p>([^<\n]*\S  .*?\n.*?)</p>", table, html, flags=re.S)


def _reference(parts: dict[str, tuple[str, ...]]) -> str:
    lines = []
    for heading, names in parts.items():
        lines += [f"## {heading}", *(f"::: dpnn.{name}" for name in names)]
    return "\n\n".join(lines) + "\n"
