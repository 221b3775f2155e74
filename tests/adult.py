"""A small table with the columns of the Adult data set, whose income can be learned of them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORK = ["Private", "Self-emp-not-inc", "Local-gov", None]
LEVELS = ["HS-grad", "Some-college", "Bachelors", "Masters"]
STATUS = ["Married-civ-spouse", "Never-married", "Divorced"]
JOBS = ["Sales", "Exec-managerial", "Craft-repair", "Prof-specialty", None]
HOMES = ["Husband", "Wife", "Not-in-family", "Own-child"]
RACES = ["White", "Black", "Asian-Pac-Islander"]
LANDS = ["United-States", "Mexico", "Philippines", None]


def table(rows: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    age, hours = rng.integers(17, 80, rows), rng.integers(10, 70, rows)
    level, status = rng.integers(0, 4, rows), rng.integers(0, 3, rows)
    gain = np.where(rng.random(rows) < 0.1, rng.integers(1000, 20000, rows), 0)
    score = 0.04 * (age - 45) + 0.05 * (hours - 45) + level - 1 + (status == 0) + 1e-4 * gain
    income = np.where(score + rng.logistic(0, 0.5, rows) > 1, ">50K", "<=50K")

    def some(names):
        return pa.array([names[i] for i in rng.integers(0, len(names), rows)])

    return pa.table(
        {
            "age": age,
            "workclass": some(WORK),
            "fnlwgt": rng.integers(20_000, 400_000, rows),
            "education": pa.array(LEVELS).take(pa.array(level)),
            "educational-num": level + 9,
            "marital-status": pa.array(STATUS).take(pa.array(status)),
            "occupation": some(JOBS),
            "relationship": some(HOMES),
            "race": some(RACES),
            "gender": some(["Male", "Female"]),
            "capital-gain": gain,
            "capital-loss": np.where(rng.random(rows) < 0.05, 1900, 0),
            "hours-per-week": hours,
            "native-country": some(LANDS),
            "income": income,
        }
    )


def write(folder, rows: int = 600) -> None:
    """FOLDER/train and FOLDER/test as Parquet."""
    for seed, name in enumerate(("train", "test")):
        (folder / name).mkdir(parents=True)
        pq.write_table(table(rows, seed), folder / name / "part-0.parquet")
