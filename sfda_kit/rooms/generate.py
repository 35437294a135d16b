"""Rendering of a part of the benchmark into the cache, once, in several processes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from sfda_kit.data.cache_limit import touch
from sfda_kit.data.checked_array import CheckedArray, open_checked, set_damaged_aside, write_rows
from sfda_kit.errors import DataError, RunError
from sfda_kit.rooms.layout import MODALITY_CODES, Layout, View
from sfda_kit.rooms.render import render
from sfda_kit.rooms.scene import sample_scene
from sfda_kit.rooms.sensors import SENSORS
from sfda_kit.rooms.shapes import CLASSES

CHUNK = 200
"""The number of scenes that a worker process renders at a time."""
OPTIONS = "options.json"
"""The file beside the parts that tells people the options of the benchmark."""

Progress = Callable[[str, int, int], None]
"""A function that is called with the name of what is rendered, the scenes done and the scenes in all."""


def render_scenes(layout: Layout, view: View, start: int, stop: int) -> NDArray[np.generic]:
    """Return the pixels of the scenes ``start`` to ``stop`` at native size. They do not depend on the chunks."""
    domain, part, modality = view
    labels = layout.labels(domain, part)
    pictures = []
    for number in range(start, stop):
        seed = layout.scene_seed(domain, part, number)
        scene = sample_scene(np.random.default_rng([*seed, 0]), CLASSES[labels[number]], layout.options.clutter)
        noise = np.random.default_rng([*seed, MODALITY_CODES[modality]])
        pictures.append(render(scene, SENSORS[domain], modality, noise))
    return np.stack(pictures)


def cached_part(folder: Path, layout: Layout, view: View, progress: Progress | None) -> NDArray[np.generic]:
    """Return all scenes of a part, read-only, rendered once. Raises ``DataError`` if ``folder`` cannot be written."""
    path = _path(folder, view)
    lock = FileLock(path.with_suffix(".lock"))

    def made_again() -> NDArray[np.generic]:
        with lock:
            set_damaged_aside(path)  # unless another process has done so
        return cached_part(folder, layout, view, progress)

    array = open_checked(path, made_again)
    if array is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with lock:
                array = open_checked(path, made_again)
                if array is None:
                    set_damaged_aside(path)
                    (folder / OPTIONS).write_text(layout.options.model_dump_json(), encoding="utf-8")
                    _write(path, _render_all(layout, view, progress, path.with_suffix(".rendering")))
                    array = open_checked(path, made_again)
        except OSError as error:
            raise DataError(
                f"Cannot write the rendered scenes to {folder}: {error}. "
                "Make room there, or set SFDA_KIT_CACHE to a folder that can be written."
            ) from error
    if array is None:
        raise DataError(f"The rendered scenes {path} cannot be read back. Check the disk and try again.")
    touch(path)
    return array


def existing_part(folder: Path, view: View) -> CheckedArray | None:
    """Return what ``cached_part`` has written, or None where it has not written the part."""
    return open_checked(_path(folder, view))


def _path(folder: Path, view: View) -> Path:
    return folder / f"{'-'.join(view)}.npy"


def _write(path: Path, pixels: NDArray[np.generic]) -> None:
    """Write a part under its lock. A process that was killed leaves a file that the next one writes again."""
    partial = path.with_suffix(".tmp")
    try:
        write_rows(partial, pixels, pixels.shape, pixels.dtype)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _render_all(layout: Layout, view: View, progress: Progress | None, scratch: Path) -> NDArray[np.generic]:
    """Render a part. ``scratch``: a folder for the time being; one that a killed process left is removed."""
    total = len(layout.labels(view.domain, view.part))
    if total <= CHUNK:
        return render_scenes(layout, view, 0, total)
    starts = range(0, total, CHUNK)
    with _emptied(scratch), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        paths = [scratch / f"{start}.npy" for start in starts]
        jobs = [
            pool.submit(_run_worker, layout, view, start, min(start + CHUNK, total), path)
            for start, path in zip(starts, paths, strict=True)
        ]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                if progress:
                    progress(f"rendering {view.part} {view.modality}@{view.domain}", min(done * CHUNK, total), total)
        finally:
            pool.shutdown(cancel_futures=True)
        return np.concatenate([np.load(path, allow_pickle=False) for path in paths])


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_worker(layout: Layout, view: View, start: int, stop: int, path: Path) -> None:
    """Run a plain child process, which works from any script, notebook or thread, unlike multiprocessing.
    Its standard input closes when this process ends in any way, and then it ends too."""
    command = [sys.executable, "-m", "sfda_kit.rooms.worker", layout.options.model_dump_json()]
    command += [str(layout.seed), *view, str(start), str(stop), str(path)]
    # The child imports from the same places as this process, but not from the folder that it is started in.
    search = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    reading, held = os.pipe()
    try:
        finished = subprocess.run(
            command,
            stdin=reading,
            env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
            cwd=path.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(held)
    if finished.returncode:
        said = finished.stderr.strip().splitlines() or [f"its exit code is {finished.returncode}"]
        if os.strerror(errno.ENOSPC) in said[-1]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        raise RunError(f"A worker rendering {'-'.join(view)} stopped: {said[-1][-800:]}")
