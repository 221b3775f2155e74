"""Write the zip of dpnn and threadpoolctl that executors import: `package.py OUT.zip`."""

from __future__ import annotations

import sys
from pathlib import Path

import dpnn
from dpnn.spark import files
from dpnn.spark.shipping import archive

if __name__ == "__main__":
    out = Path(sys.argv[1])
    data = archive(Path(dpnn.__file__).parent, data=True)
    files.write(out, data)
    print(f"{out}: {len(data) / 1000:.0f} kB")
