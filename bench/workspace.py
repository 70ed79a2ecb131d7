"""Where benchmarks work: a folder in memory, and an installed wheel, as users have it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installs import build, install

_MEMORY = Path("/dev/shm")
_NEEDED = 2 << 30

_TASK = """\
# Task {number} of the fleet
name: fleet-{number:05d}

workdir: .

num_nodes: 2

envs:
  MODEL: organisation/model-{number}
  EPOCHS: 3
  LEARNING_RATE: 0.0001
  BUCKET: s3://checkpoints-{number}

resources:
  infra: aws/us-east-1
  accelerators: A100:8
  cpus: 32+
  memory: 128+
  disk_size: 512
  use_spot: true
  ports:
    - {first}
    - {second}-{last}
  labels:
    team: research
    project: p{number}

file_mounts:
  /data:
    source: s3://data-{number}
    mode: MOUNT

setup: |
  set -e
  pip install --upgrade pip
  pip install torch torchvision tensorboard
  git clone https://example.com/models.git || true

run: |
  set -e
  cd models
  tensorboard --logdir ~/runs --host 0.0.0.0 --port {first} &
  torchrun --nnodes $SKYPILOT_NUM_NODES --nproc-per-node 8 \\
    --node-rank $SKYPILOT_NODE_RANK --master-port 29500 \\
    train.py --model $MODEL --epochs $EPOCHS --lr $LEARNING_RATE --bucket $BUCKET
"""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder on tmpfs where there is one with room, else where temporary files go."""
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _NEEDED
    folder = tempfile.mkdtemp(prefix="skyports-bench-", dir=_MEMORY if usable else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def installed() -> Iterator[Path]:
    """The bin folder of an environment with our wheel in it."""
    with tempfile.TemporaryDirectory(prefix="skyports-bench-") as folder:
        _, wheel = build(Path(folder))
        yield install(Path(folder, "venv"), wheel).parent


def write_tasks(folder: Path, count: int) -> list[Path]:
    """`count` task files of about 45 lines, no two alike."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        first = 6000 + number % 1000
        text = _TASK.format(number=number, first=first, second=8000 + number % 500, last=8600 + number % 500)
        path = folder / f"task{number:05d}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
