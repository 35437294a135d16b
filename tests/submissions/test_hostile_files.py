"""Well-made archives, signed again, whose files lie, contradict each other or attack their readers."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from sfda_kit.submissions.pack import zipped

from .hostile import MANIFEST, Files, manifest_of, signed, stored

pytestmark = pytest.mark.slow

Check = Callable[..., tuple[int, str]]
Spoil = Callable[[Files], object]


def record(**values: Any) -> Spoil:
    """Change keys of the record, its digest and config.yaml to match."""
    return lambda files: files.edit(lambda found: found.update(values))


FOLDS = {"fold": 1, "folds": 4, "repeats": 5, "name": "mine", "version": 1, "sha256": "a" * 64}


def inside(path: str, value: Any, file: str = "record.json", method: str = "source-only") -> Spoil:
    """Set one value of a JSON file: ``task.images.ti``."""

    def change(found: Any) -> None:
        *keys, last = path.split(".")
        for key in keys:
            found = found[int(key) if key.isdigit() else key]
        found[last] = value

    return lambda files: files.edit(change, file, method)


def raw(text: str, file: str = "record.json") -> Spoil:
    """Replace a file."""
    return lambda files: files.update({files.path(file): text.encode("utf-8", "surrogatepass")})


def append(text: str, file: str = "record.json") -> Spoil:
    """A key and value before the last brace of a JSON file."""

    def spoil(files: Files) -> None:
        content = files[files.path(file)].decode().rstrip()
        files[files.path(file)] = f"{content[:-1]}, {text}}}".encode()

    return spoil


def rows(change: Callable[[list[dict[str, Any]]], object]) -> Spoil:
    """Change the predictions."""
    return lambda files: files.predict(change)


def table(change: Callable[[pa.Table], pa.Table], **options: Any) -> Spoil:
    """Replace the table of predictions."""
    return lambda files: files.write_table(change(files.table()), **options)


def picture(content: Callable[[bytes], bytes]) -> Spoil:
    """Change a picture."""

    def spoil(files: Files) -> None:
        name = files.path("pictures/curves.png")
        files[name] = content(files[name])

    return spoil


def moved(found: list[dict[str, Any]]) -> None:
    """The probabilities of the first row, in reverse order."""
    found[0]["probabilities"] = found[0]["probabilities"][::-1]


def better(found: list[dict[str, Any]]) -> None:
    """Every prediction right and sure."""
    classes = sorted({row["label"] for row in found})
    for row in found:
        row["prediction"] = row["label"]
        row["probabilities"] = [float(name == row["label"]) for name in classes]
        row["logits"] = [50.0 * (name == row["label"]) for name in classes]


def png(**settings: Any) -> bytes:
    """A small picture, or what Pillow makes of the settings."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, **{"format": "PNG", **settings})
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def huge_png(_: bytes) -> bytes:
    """A header of 60,000 x 60,000 pixels over next to no data."""
    header = chunk(b"IHDR", (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def second_time(files: Files) -> None:
    """The same configuration under another run id, with other accuracies it could have come from."""
    run = files.run()
    for name in [name for name in files if name.startswith(f"{run}/")]:
        files[f"source-only-again/{name.partition('/')[2]}"] = files[name]
    copy = json.loads(files["source-only-again/record.json"])
    copy["run_id"] = copy["run_dir"] = "source-only-again"
    files["source-only-again/record.json"] = json.dumps(copy).encode()


MADE_UP = {"phase": "adapt", "epoch": 1, "name": "collapse", "text": "one class is left"}

JSON = {
    "nan": (append('"x": NaN'), "NaN is not a number of JSON"),
    "infinity": (append('"x": -Infinity'), "-Infinity is not a number of JSON"),
    "overflow": (append('"x": 1e999'), "a number is too long or too large"),
    "digits": (append('"x": ' + "9" * 5000), "a number has more than 40 digits"),
    "long fraction": (append('"x": 0.' + "1" * 99), "a number is too long or too large"),
    "deep": (raw("[" * 100_000 + "]" * 100_000), "nested too deeply"),
    "deep enough": (append('"x": ' + "[" * 40 + "]" * 40), "more than 12 levels"),
    "many values": (raw("[" + "0," * 200_000 + "0]", "history.json"), "history: List should have at most 20000 items"),
    "too many values": (raw("[" + "[]," * 600_000 + "0]", "history.json"), "it holds more than 500000 values"),
    "nul": (append('"x": "a\\u0000b"'), "a text holds control characters"),
    "escape": (append('"x": "\\u001b[31mred"'), "a text holds control characters"),
    "right to left": (append('"x": "\\u202eevil"'), "a text holds control characters"),
    "surrogate": (append('"x": "\\ud800"'), "a text holds control characters"),
    "control in key": (append('"a\\u0007": 1'), "a text holds control characters"),
    "long text": (append('"x": "' + "a" * 5000 + '"'), "a text is longer than 4000 characters"),
    "key twice": (append('"seed": 0'), "a key is there twice in one object"),
    "not json": (raw("{'run_id': 1}"), "it is not valid JSON"),
    "not text": (lambda f: f.update({f.path("record.json"): b"\xff\xfe{}"}), "it is not UTF-8 text"),
    "python": (raw("__import__('os').system('id')"), "it is not valid JSON"),
    "absolute path": (record(notices=["see /home/jane/secret.txt"]), "a text holds an absolute path"),
    "windows path": (record(notices=["see C:\\\\Users\\\\jane"]), "a text holds an absolute path"),
}

SCHEMA = {
    "no object": (raw("[]"), "record: Input should be"),
    "unknown key": (record(hello=1), "record.hello: there is no such key"),
    "unknown key of the task": (inside("task.hello", 1), "task.hello: there is no such key"),
    "unknown setting": (inside("config.hello", 1), "config.hello: there is no such key"),
    "unknown metric": (inside("metrics.best_accuracy", 1.0), "metrics.best_accuracy: there is no such key"),
    "unknown baseline": (inside("baselines.best", {}), "baselines.best"),
    "unknown recipe key": (inside("recipe.hello", 1), "recipe"),
    "text for a number": (record(seed="0"), "record.seed: Input should be a valid integer"),
    "text in a recipe": (inside("recipe.input_bridge.objective", {"a": "1.0"}), "another type than the toolkit writes"),
    "no status": (lambda f: f.edit(lambda r: r.pop("status")), "record.status: Field required"),
    "made-up status": (record(status="excellent"), "record.status"),
    "metric missing": (
        lambda f: f.edit(lambda r: r["metrics"].pop("heldout_accuracy")),
        "its metrics lack a held-out score",
    ),
    "above 100": (inside("metrics.heldout_accuracy", 100.5), "metrics.heldout_accuracy: Input should be less"),
    "below 0": (inside("metrics.heldout_calibration_error", -1.0), "Input should be greater than or equal to 0"),
    "negative cost": (inside("cost.wall_s", -5.0), "cost.wall_s"),
    "no sensor": (lambda f: f.edit(lambda r: r["task"].pop("target")), "task.target: Field required"),
    "negative images": (inside("task.images.ti", -1), "task.images.ti"),
    "fingerprint": (inside("task.fingerprint", "../../x"), "task.fingerprint"),
    "source card": (inside("source.hello", 1), "source.hello: there is no such key"),
    "format": (record(format=2), "its format is 2"),
    "history key": (inside("0.hello", 1, "history.json"), "history.0.hello: there is no such key"),
    "history no list": (raw("{}", "history.json"), "history: Input should be"),
    "file missing": (lambda f: f.pop(f.path("history.json")), "there is no history.json"),
    "no predictions": (lambda f: f.pop(f.path("predictions.parquet")), "there is no predictions.parquet"),
    "no record": (lambda f: f.pop(f.path("record.json")), "there is no record.json"),
    "yaml differs": (raw("config: {}\nrecipe: {}\n", "config.yaml"), "not that of the record"),
    "yaml bomb": (raw("a: &a [x]\nb: [*a, *a]\n", "config.yaml"), "anchors or aliases"),
    "yaml code": (raw("!!python/object/apply:os.system [id]\n", "config.yaml"), "it names a type"),
    "yaml deep": (raw("[" * 500 + "]" * 500, "config.yaml"), "nested too deeply"),
    "yaml broken": (raw("a: [", "config.yaml"), "not valid YAML"),
    "yaml of others": (raw("hello: 1\nworld: 2\n", "config.yaml"), "must hold algorithms, config"),
}

RUN = {
    "other folder": (record(run_id="another"), "its run_id is 'another', but it lies in"),
    "run dir": (record(run_dir="elsewhere"), "its run_dir is not the run id"),
    "seed": (record(seed=5), "its seed is 5, elsewhere in the record it is 0"),
    "method": (record(method="oracle"), "its method is oracle, elsewhere in the record it is source-only"),
    "split seed": (inside("task.split_seed", 9), "its task.split_seed is 9"),
    "fold": (inside("task.folds", FOLDS), "its task.folds is 1, elsewhere in the record it is None"),
    "folds without a hash": (inside("task.folds", {**FOLDS, "sha256": "no"}), "task.folds.sha256: String should match"),
    "protocol": (inside("task.protocol", "paper"), "have held-out scores, and the protocol paper holds nothing out"),
    "TI groups": (inside("task.ti_groups", "target-train"), "its task.ti_groups is target-train"),
    "encoding": (inside("config.encoding.name", "jet"), "its task.encoding"),
    "sensor": (inside("config.dataset.target", "nir@kv1"), "its task.target is depth@kv1"),
    "data set": (inside("task.dataset", "sun-rgbd"), "its task.dataset is sun-rgbd"),
    "classes of the source": (inside("source.classes", ["a", "b"]), "its source.classes"),
    "another network": (inside("config.model.bottleneck", 9), "its source.model"),
    "source accuracy": (inside("metrics.source_accuracy", 99.0), "its source.accuracy"),
    "root": (inside("config.dataset.root", "data"), "its configuration names a place on a disk"),
    "error": (record(error="none, really"), "its status is ok, yet it has an error"),
    "class twice": (lambda f: f.edit(lambda r: r["task"]["ti_classes"].append("arch")), "a class is there twice"),
    "no date": (record(started="yesterday"), "started is 'yesterday', not a time with its zone"),
    "no zone": (record(started="2026-01-31T12:00:00"), "not a time with its zone"),
    "future": (record(finished="2999-01-01T00:00:00+00:00"), "too long ago or in the future"),
    "backwards": (record(finished="2021-01-01T00:00:00+00:00"), "it finished before it started"),
    "marked oracle": (record(oracle=True), "uses no target labels, but the record is marked oracle"),
    "recipe": (inside("recipe.input_bridge.name", "unet"), "its recipe is not that of 'source-only'"),
    "failed with scores": (record(status="failed"), "its status is failed, yet it has scores"),
    "synthetic": (record(synthetic=False), "the data set is synthetic, the record says otherwise"),
    "twice": (second_time, "one configuration and seed, handed in 2 times"),
}

PREDICTIONS = {
    "no parquet": (
        lambda f: f.update({f.path("predictions.parquet"): b"PAR1 not really PAR1"}),
        "predictions.parquet:",
    ),
    "pickle": (lambda f: f.update({f.path("predictions.parquet"): b"\x80\x04cos\nsystem\n."}), "predictions.parquet:"),
    "rows missing": (table(lambda t: t.slice(1)), "but the record's task has"),
    "rows of a part": (rows(lambda r: r[0].update(part="heldout")), "rows are transductive, the record's task has"),
    "unknown part": (rows(lambda r: r[0].update(part="train")), "rows of unknown parts: 'train'"),
    "column missing": (table(lambda t: t.drop_columns(["group"])), "its columns are"),
    "column too many": (table(lambda t: t.append_column("z", t["group"])), "its columns are"),
    "column type": (table(lambda t: t.set_column(2, "group", t["group"].cast(pa.int32()))), "its columns are"),
    "double precision": (
        table(lambda t: t.set_column(6, "probabilities", t["probabilities"].cast(pa.list_(pa.float64())))),
        "group",
    ),
    "null": (rows(lambda r: r[0].update(label=None)), "the column label has missing values"),
    "null probability": (rows(lambda r: r[0]["probabilities"].__setitem__(0, None)), "missing values"),
    "null list": (rows(lambda r: r[0].update(probabilities=None)), "probabilities"),
    "unknown class": (rows(lambda r: r[0].update(label="unicorn")), "classes that the task does not have: 'unicorn'"),
    "fewer probabilities": (rows(lambda r: [row["probabilities"].pop() for row in r]), "probabilities; "),
    "ragged": (
        rows(lambda r: r[0]["probabilities"].append(r[1]["probabilities"].pop())),
        "probabilities, the task has 12 classes",
    ),
    "not argmax": (rows(moved), "the prediction is not the most probable class for 1 samples"),
    "no sum of 1": (rows(lambda r: r[0].update(probabilities=[0.5] * 12)), "do not sum to 1"),
    "outside": (rows(lambda r: r[0].update(probabilities=[2.0, -1.0] + [0.0] * 10)), "a probability is not in [0, 1]"),
    "not finite": (rows(lambda r: r[0].update(probabilities=[float("nan")] * 12)), "a probability is not in [0, 1]"),
    "other logits": (rows(lambda r: r[0].update(logits=r[0]["logits"][::-1])), "do not give the probabilities of 1"),
    "endless logit": (rows(lambda r: r[0]["logits"].__setitem__(0, float("inf"))), "a logit is not a finite number"),
    "fewer logits": (rows(lambda r: [row["logits"].pop() for row in r]), " logits; "),
    "logits in single precision": (
        table(lambda t: t.set_column(7, "logits", t["logits"].cast(pa.list_(pa.float32())))),
        "its columns are",
    ),
    "sample twice": (rows(lambda r: r[0].update(name=r[1]["name"])), "samples are there more than once"),
    "test in training": (rows(lambda r: r[0].update(name=r[-1]["name"])), "samples are there more than once"),
    "long name": (rows(lambda r: r[0].update(name="n" * 1000)), "texts of at most 400 bytes"),
    "control characters": (rows(lambda r: r[0].update(name="\x1b]0;owned\x07")), "the column name holds control"),
    "many row groups": (
        lambda f: f.write_table(pa.concat_tables([f.table()] * 10), row_group_size=1),
        "but the record's task has",
    ),
    "row groups": (table(lambda t: t, row_group_size=1), "row groups, at most 16 are read"),
    "impossible counts": (inside("task.images.target-train", 90_000_000), "too many to be checked"),
}

SCORES = {
    "accuracy": (inside("metrics.heldout_accuracy", 77.0), "metrics.heldout_accuracy is 77.0000, the predictions give"),
    "mean class": (inside("metrics.transductive_mean_class_accuracy", 77.0), "metrics.transductive_mean_class_acc"),
    "calibration": (inside("metrics.heldout_calibration_error", 0.5), "metrics.heldout_calibration_error is 0.5000"),
    "source-only": (inside("baselines.source-only.heldout_accuracy", 1.5), "baselines.source-only.heldout_accuracy is"),
    "source-only, stated": (inside("metrics.source_only_heldout_accuracy", 1.5), "source_only_heldout_accuracy is 1.5"),
    "no baseline": (record(baselines={}), "the record has no baseline source-only"),
    "better predictions": (rows(better), "the predictions give 100.0000"),
    "labels": (rows(lambda r: [row.update(label=row["prediction"]) for row in r]), "the predictions give"),
    "histogram": (inside("signals.histogram", [1] * 12), "signals.histogram is not that of the predictions"),
    "agreement": (inside("signals.source_agreement", 0.123), "signals.source_agreement is not that"),
    "agreement no number": (inside("signals.source_agreement", "all"), "signals.source_agreement is not that"),
}

HISTORY = {
    "other scores": (inside("0.metrics.heldout_accuracy", 99.0, "history.json"), "metrics.heldout_accuracy is"),
    "empty": (raw("[]", "history.json"), "it has no epoch"),
    "twice": (lambda f: f.edit(lambda h: h.append(h[-1]), "history.json", "oracle"), "an epoch is there twice"),
    "order": (lambda f: f.edit(lambda h: h.reverse(), "history.json", "oracle"), "its epochs are out of order"),
    "choice": (inside("selection.chosen_epoch", 77), "selection is not what its history gives: 'chosen_epoch'"),
    "a rule of its own": (inside("selection.applied", True, method="oracle"), "not what its history gives: 'applied'"),
    "a validator of its own": (inside("selection.validator", "entropy"), "not what its history gives: 'validator'"),
    "regret": (inside("selection.regret", -5.0), "selection is not what its history gives: 'regret'"),
    "result": (inside("selection.result_epoch", 1, method="oracle"), "its result is oracle epoch 1, but by its own"),
    "signals": (inside("signals.entropy", 0.0), "signals are not those of the epoch that it says is the result"),
    "alarms": (inside("monitor.alarms", [MADE_UP]), "the record's alarms are not those of its history"),
    "time": (inside("0.wall_s", 1e6, "history.json", "oracle"), "time runs backwards"),
}

PICTURES = {
    "html": (picture(lambda _: b"<script>alert(1)</script>"), "it is not a PNG picture"),
    "jpeg": (picture(lambda _: png(format="JPEG")), "it is not a PNG picture"),
    "behind its end": (picture(lambda old: old + b"<?php evil(); ?>"), "it has bytes after its end"),
    "cut off": (picture(lambda old: old[:-20]), "it is cut off"),
    "huge": (picture(huge_png), "60000 x 60000 pixels"),
    "profile": (picture(lambda _: png(icc_profile=b"x" * 100)), "chunks that no picture of a run has"),
    "damaged": (picture(lambda old: old[:60] + bytes(20) + old[80:]), "curves.png"),
    "animated": (
        picture(lambda _: png(save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])),
        "chunks that no picture of a run has",
    ),
}

TASK = {
    "fingerprint": (inside("task.fingerprint", "0123456789abcdef"), "its task.fingerprint is not that of the data set"),
    "samples": (rows(lambda r: r[0].update(name="kv1/arch/made-up")), "samples that the data set's target-train does"),
    "groups": (rows(lambda r: r[0].update(group=999_999)), "groups that are not the data set's"),
    "labels": (rows(lambda r: [row.update(label="arch") for row in r]), "labels that are not the data set's"),
    "options": (inside("config.dataset.options", {"scenes": 1e9}), "no task can be built from its configuration"),
    "images": (inside("task.images.source", 4000), "its task.images is not that of the data set"),
}

ALL = {
    f"{group}: {name}": case
    for group, cases in {
        "json": JSON,
        "schema": SCHEMA,
        "run": RUN,
        "predictions": PREDICTIONS,
        "scores": SCORES,
        "history": HISTORY,
        "pictures": PICTURES,
        "task": TASK,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("case", ALL)
def test_refused_with_its_reason(files: Files, check: Check, case: str):
    spoil, reason = ALL[case]
    spoil(files)
    code, output = check(stored(files))
    assert code == 1
    assert reason in output
    assert "Traceback" not in output and "\x1b" not in output and "\x07" not in output


def test_a_digest_that_is_made_up(files: Files, check: Check):
    found = files.read("record.json")
    files.write("record.json", {**found, "config_digest": "0" * 16})
    code, output = check(signed(files))
    assert code == 1 and "its config_digest is not that of its configuration and recipe" in output


def test_a_track_that_leaves_out_what_was_used(files: Files, check: Check):
    assert files.read("record.json")["track"] is not None
    files.edit(lambda found: found.update(track=[]), method="oracle")
    code, output = check(signed(files))
    assert code == 1 and "its track leaves out target-labels, which the parts of its recipe use" in output


def test_an_oracle_without_its_mark(files: Files, check: Check):
    files.edit(lambda found: found.update(oracle=False), method="oracle")
    code, output = check(signed(files))
    assert code == 1 and "the method 'oracle' uses target labels, but the record is not marked oracle" in output


def test_a_changed_file_is_found_without_looking_inside(files: Files, check: Check):
    manifest = manifest_of(files)
    files[files.path("history.json")] += b"\n"
    code, output = check(zipped({**files, MANIFEST: manifest}))
    assert code == 1 and "its SHA-256 is not that of the manifest" in output


def test_files_beside_the_manifest(files: Files, check: Check):
    manifest = manifest_of(files)
    files[files.path("pictures/more.png")] = png()
    gone = files.pop(files.path("pictures/curves.png"))
    assert gone
    code, output = check(zipped({**files, MANIFEST: manifest}))
    assert code == 1
    assert "the archive holds it, the manifest does not list it" in output
    assert "the manifest lists it, the archive does not hold it" in output


MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": 99, "toolkit": "9.0"}, "its format is 99, this version reads 1"),
    "unknown key": ({"hello": 1}, "manifest.hello: there is no such key"),
    "toolkit": ({"toolkit": "$(id)"}, "manifest.toolkit"),
    "link": ({"about": {"link": "javascript:alert(1)"}}, "manifest.about.link"),
    "suite": ({"about": {"suite": {"name": "../../etc/passwd", "version": 1}}}, "manifest.about.suite.name"),
    "control characters": ({"about": {"notes": "\x1b[2J"}}, "a text holds control characters"),
    "claimed method": ({"about": {"third_party": {"source-only": "evil"}}}, "is the project's own, yet it is stated"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifest(files: Files, check: Check, case: str):
    change, reason = MANIFESTS[case]
    manifest = json.dumps({**json.loads(manifest_of(files)), **change}).encode()
    code, output = check(zipped({**files, MANIFEST: manifest}))
    assert code == 1 and reason in output


def test_no_manifest(files: Files, check: Check):
    files.pop(MANIFEST)
    code, output = check(zipped(files))
    assert code == 1 and "there is no manifest.json" in output


def test_a_method_of_a_stranger_must_be_stated(files: Files, check: Check):
    def rename(found: dict[str, Any]) -> None:
        found["method"] = found["config"]["method"] = "mine"

    files.edit(rename)
    code, output = check(signed(files))
    assert code == 1 and "the method 'mine' is not known here, and the manifest does not say whose it is" in output
    manifest = json.loads(files[MANIFEST])
    manifest["about"]["third_party"] = {"mine": "sfda-mine"}
    files[MANIFEST] = json.dumps(manifest).encode()
    code, output = check(signed(files))
    assert code == 0 and "the method 'mine' is not installed here: its recipe was not compared" in output
    files.edit(lambda found: found.update(oracle=True))
    code, output = check(signed(files))
    assert code == 1 and "only the core's oracle may use target labels" in output


def test_all_reasons_are_told_at_once(files: Files, check: Check):
    for name in ("run: seed", "scores: accuracy", "pictures: html", "history: empty"):
        ALL[name][0](files)
    code, output = check(signed(files))
    assert code == 1
    for name in ("run: seed", "scores: accuracy", "pictures: html", "history: empty"):
        assert ALL[name][1] in output


def test_records_of_older_versions_without_logits_and_auroc_are_taken(files: Files, check: Check):
    def older(found: Any) -> None:
        scores = [found["metrics"], *found["baselines"].values()] if "baselines" in found else []
        selection = found.get("selection") or {}
        scores += [selection.get("last", {}), selection.get("chosen", {})]
        scores += [selection["oracle"]["metrics"]] if selection.get("oracle") else []
        for part in scores:
            for name in ("heldout_auroc", "transductive_auroc"):
                part.pop(name, None)

    def older_history(found: Any) -> None:
        for row in found:
            row["metrics"] = {name: value for name, value in row["metrics"].items() if "auroc" not in name}

    for method in ("source-only", "oracle"):
        files.edit(older, method=method)
        files.edit(older_history, "history.json", method)
        files.write_table(files.table(method).drop_columns(["logits"]), method)
    code, output = check(signed(files))
    assert code == 0, output


def test_different_source_models_under_one_seed_are_told(files: Files, check: Check):
    files.edit(inside_source, method="oracle")
    code, output = check(signed(files))
    assert code == 0 and "start from different source models" in output


def inside_source(found: dict[str, Any]) -> None:
    found["source"]["weights_sha256"] = "0" * 64


def test_nothing_of_the_archive_is_markup_or_a_command(files: Files, check: Check):
    """Rich would colour it, the log of a CI runner would obey it."""
    files.edit(lambda found: found.update({"[bold red]evil[/] :smile: ::set-output name=x::": 1}))
    code, output = check(signed(files))
    assert code == 1
    assert "[bold red]evil[/] :smile: : :set-output name=x: :" in output
    assert not any(line.lstrip().startswith("::") for line in output.splitlines())


def test_texts_of_a_dictionary_are_not_multiplied(files: Files, check: Check):
    """One long text, stored once, named by every row: read as plain text it would be as large as rows times length."""
    rows_ = files.table().num_rows
    long = pa.array(["x" * 1_000_000] * rows_)
    files.write_table(files.table().set_column(1, "name", long))
    assert len(files[files.path("predictions.parquet")]) < 200_000
    code, output = check(signed(files))
    assert code == 1 and ("texts of at most 400 bytes" in output or "more than such a table takes" in output)
