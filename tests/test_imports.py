"""Imports point one way: ml, runs, training, models, engines, data, spark, nn."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each may import those before it; `spark` stands beside, and knows no nn.
ROOMS = ["nn", "spark", "data", "engines", "models", "training", "runs", "ml"]
FILES = sorted((ROOT / "dpnn").rglob("*.py"))
IN_ROOMS = [path for path in FILES if path.relative_to(ROOT).parts[1] in ROOMS]
LIBRARY = [path for path in FILES if path.relative_to(ROOT).parts[1] == "nn"]


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*home, *([node.module] if node.module else [])])
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def room(name: str) -> str:
    """dpnn.data.shards -> data; "" for what lies in no room."""
    parts = name.split(".")
    return parts[1] if parts[0] == "dpnn" and len(parts) > 1 and parts[1] in ROOMS else ""


@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(ROOT).parts[1]
    allowed = {"", *ROOMS[: ROOMS.index(own) + 1]} - ({"nn"} if own == "spark" else set())
    wrong = {name for name in imported(path) if room(name) not in allowed}
    assert not wrong, f"{own} may import {sorted(allowed)}"


def test_there_is_something_to_check() -> None:
    rooms = {path.relative_to(ROOT).parts[1] for path in FILES}
    assert rooms >= {"nn", "spark", "data", "engines", "models", "training", "runs"}


def test_the_library_imports_nothing_but_numpy_and_the_standard_library() -> None:
    allowed = {"numpy", "dpnn", "cupy", *sys.stdlib_module_names}
    for path in LIBRARY:
        roots = {name.partition(".")[0] for name in imported(path)}
        assert roots <= allowed, path
        assert "cupy" not in roots or path.parent.name == "kernels", path


def test_no_library_file_names_numpy_arrays_functions_in_a_pass() -> None:
    """forward and backward reach arrays through ctx.xp: np. stands there for dtypes alone."""
    dtypes = {"float32", "float64", "intp", "int64", "int32", "ndarray", "bool_", "integer"}
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in {"forward", "backward"}:
                used = {
                    n.attr
                    for n in ast.walk(node)
                    if isinstance(n, ast.Attribute)
                    and isinstance(n.value, ast.Name)
                    and n.value.id == "np"
                }
                assert used <= dtypes, f"{path}: {node.name}"


@pytest.mark.parametrize("module", ["dpnn.nn", "dpnn.data.shards", "dpnn.engines.worker"])
def test_import_is_light(module: str) -> None:
    heavy = "{'pyspark', 'cupy', 'torch', 'pandas', 'matplotlib'}"
    code = f"import sys, {module}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_what_is_private_to_spark_is_asked_in_one_room() -> None:
    private = {"_jvm", "_jsc", "_jdf", "_jrdd", "_jrdd_deserializer", "_gateway", "_jsparkSession"}
    found = {
        f"{path.relative_to(ROOT)}: {node.attr}"
        for path in FILES
        if path.relative_to(ROOT).parts[1] != "spark"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in private
    }
    assert not found, "ask dpnn.spark.session"
