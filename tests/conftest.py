"""A private home for every test, and a small paired data set whose classes differ in shape."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from sfda_kit.files import atomic
from sfda_kit.plugins.shipped import SHIPPED

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

STUDIES = Path(__file__).parents[1] / "benchmarks" / "studies"

TR = ("bar", "disc", "ring", "cross")
TI = ("corner", "stripe")
SIZES = {"image-size": 32, "source-epochs": 4, "epochs": 2, "batch-size": 16, "bridge-epochs": 2}
FAST = ["--backbone", "test_resnet", *(text for k, v in SIZES.items() for text in (f"--{k}", str(v)))]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pictures: renders the pictures of runs, which are placeholders otherwise")
    config.addinivalue_line(
        "markers",
        "needs_plugin(*packages, of=None): skipped where one of the packages is not installed, or the shipped "
        "package of the part that the parameter ``of`` names",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Function) -> None:
    """Tests that need a shipped plugin are skipped without it, so that the core can be tested alone."""
    for mark in item.iter_markers("needs_plugin"):
        part = item.callspec.params[mark.kwargs["of"]] if "of" in mark.kwargs else ""
        owner = next((owner for (_, name), owner in SHIPPED.items() if name == part), None)
        for package in filter(None, (*mark.args, owner)):
            if not is_installed(package):
                pytest.skip(f"{package} is not installed")


def is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache or runs folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SFDA_KIT_CACHE", str(home / "cache"))
    monkeypatch.setenv("CI", "true")
    monkeypatch.chdir(home)
    return home


@pytest.fixture(autouse=True)
def small_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process draw every figure, but its file is a few pixels; rendering takes most of a small run.
    A test with the mark ``pictures`` renders. So do all tests in which torch, which figures need, is not there yet."""
    if "torch" not in sys.modules or request.node.get_closest_marker("pictures"):
        return
    from sfda_kit.leaderboard.render import grid_figure  # holds the function itself, so it comes before the change
    from sfda_kit.results import figures

    del grid_figure

    def save(figure: object, path: Path) -> None:
        with atomic(path) as work:
            Image.new("RGB", (8, 8), "teal").save(work, format="PNG")
        path.with_suffix(".pdf").write_bytes(b"%PDF-1.4\n")

    monkeypatch.setattr(figures, "save_figure", save)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a one-file plugin with its metadata on the path, as pip would."""
    from sfda_kit.plugins.discovery import installation

    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def put(name: str, code: str, requires: str = "") -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        told += f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(told)
        (info / "entry_points.txt").write_text(f"[sfda_kit]\n{name} = {name}\n")
        names.append(name)
        installation.cache_clear()

    yield put
    installation.cache_clear()
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def pairs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``paired-folder`` with one domain, RGB and depth, 6 shapes, 24 images each in 8 groups."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = ["stem,group"]
    for name in TR + TI:
        for number in range(24):
            mask = shape_mask(name, rng)
            stem = f"{name}{number:02d}"
            colours = rng.integers(60, 256, (2, 3))
            rgb = np.where(mask[..., None], colours[0], colours[1] // 3).astype(np.uint8)
            depth = np.where(mask, 1200, 2600).astype(np.uint16) + rng.integers(0, 60, mask.shape).astype(np.uint16)
            for modality, pixels in (("rgb", rgb), ("depth", depth)):
                folder = root / "cam" / modality / name
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{stem}.png")
            rows.append(f"{stem},g{number % 8}")
    (root / "groups.csv").write_text("\n".join(rows) + "\n")
    return root


def shape_mask(name: str, rng: np.random.Generator, size: int = 40) -> np.ndarray[Any, Any]:
    """Boolean picture of one shape, moved and scaled at random."""
    x0, y0 = rng.uniform(0.4, 0.6, 2)
    y, x = np.mgrid[0:size, 0:size] / size
    x, y, r = x - x0, y - y0, rng.uniform(0.25, 0.32)
    distance = np.hypot(x, y)
    shapes = {
        "bar": (abs(x) < r / 4) & (abs(y) < r),
        "disc": distance < r,
        "ring": (distance < r) & (distance > 0.6 * r),
        "cross": ((abs(x) < r / 5) | (abs(y) < r / 5)) & (distance < r),
        "corner": (x > 0) & (y > 0) & (distance < r),
        "stripe": (abs(y) < r / 4) & (abs(x) < r),
    }
    return shapes[name]


@pytest.fixture
def on_pairs(pairs_root: Path) -> list[str]:
    """Flags of a run on the small data set, quick and without a source floor."""
    data = ["--dataset", "paired-folder", "--data-root", str(pairs_root), "--source", "rgb@cam"]
    classes = ["--tr-classes", ",".join(TR), "--ti-classes", ",".join(TI)]
    return [*data, "--target", "depth@cam", *classes, "--source-floor", "0", *FAST]


@pytest.fixture
def sfda_kit() -> Callable[..., Result]:
    """Call the command in this process as a user would; a mistake becomes its message and exit code."""

    def call(*arguments: str | Path) -> Result:
        from sfda_kit.cli.app import app
        from sfda_kit.errors import SfdaKitError, UserError

        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(result.exception, SfdaKitError):
            result.exit_code = 2 if isinstance(result.exception, UserError) else 1
        elif result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def private_cache(private_home: Path) -> Path:
    """The folder of this test's own cache; it may not exist yet."""
    return private_home / "cache"


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole twin with three frames of each class and sensor. Read only: copy it to break it."""
    from sfda_kit.datasets.twins import make_twin

    out = tmp_path_factory.mktemp("twins") / "twin"
    make_twin("sun-rgbd", out, per_class=3, seed=0)
    return out


@pytest.fixture(scope="session")
def real_pictures() -> Path:
    """The folder of real pictures; a test that needs it is skipped where there is none."""
    folder = os.environ.get("SFDA_KIT_NYU_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SFDA_KIT_NYU_DIR does not name a folder with the NYU Depth V2 samples")
    return Path(folder)


@pytest.fixture
def write_image() -> Callable[[Path, NDArray[np.generic]], Path]:
    def write(path: Path, pixels: NDArray[np.generic]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, pixels)
        else:
            Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def depth() -> NDArray[np.uint16]:
    pixels = np.random.default_rng(1).integers(500, 8000, (24, 32), dtype=np.uint16)
    pixels[:4, :4] = 0
    return pixels


def load_study(name: str) -> ModuleType:
    """The script ``benchmarks/studies/<name>.py`` as a module."""
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_json(result: Result) -> dict[str, Any]:
    """The JSON object on the last line of stdout."""
    return json.loads(result.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def cells_at_work() -> list[int]:
    """Process numbers of the cells that work in this test's folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, place = (folder / "cmdline").read_bytes(), (folder / "cwd").readlink()
        except OSError:
            continue
        if b"sfda_kit.bench.cell" in command and place == Path.cwd():
            found.append(int(folder.name))
    return found
