"""Tables and single figures from committed results."""

from __future__ import annotations

from statistics import mean

from committed import RESULTS, find, last_signals, middle, of, read_csv, runs, speed, spread
from real_sets import PER_CLASS, PLAIN, mean_of, settings_table
from tables import table

from sfda_kit.leaderboard.entries import CONTROLS

OF_ROOMS = ("depth@kv1", "depth@xtion", "nir@kv1", "nir@xtion")
ROOMS = [(f"rooms: {target}, version 0.1", "rooms", target) for target in OF_ROOMS]
MINI = ("rooms: depth@xtion", "rooms-mini", "depth@xtion")
CROPS = ("older cut of the crops, version 0.1", "nyu-objects-older-cut", "depth@kinect1")
REAL = [
    ("depth crops, ImageNet weights", "nyu-objects", "depth@kinect1"),
    ("near-infrared scenes, ImageNet weights", "nir-scenes", "nir@camera1"),
    ("depth crops, from scratch", "nyu-objects/resnet10t", "depth@kinect1"),
]
NAMES = {
    "bridged": "bridged (`recommended`)",
    "oracle": "*oracle (uses target labels, never ranks)*",
}
NO_METHODS = CONTROLS | {"source-only", "oracle"}
MEMORY = ("anonymous_mib", "mapped_mib")


def accuracy(suite: str, target: str, method: str, column: str = PLAIN) -> str:
    """Return mean ± standard deviation over seeds of one method on one task."""
    return spread(of(suite, method, target, column))


def results_table() -> str:
    """Return methods from scratch by tasks of ``rooms``, the highest mean of each column in bold."""
    columns = [MINI, *(task for task in ROOMS if task[2] != MINI[2])]
    methods = {row["method"] for row in runs("rooms")}
    order = sorted(methods, key=lambda name: (name == "oracle", _mean_over_rooms(name)))
    cells = {name: [of(suite, name, target) for _, suite, target in columns] for name in order}
    best = [max(mean(cells[name][at]) for name in order if name != "oracle") for at in range(len(columns))]
    rows = [
        [
            NAMES.get(name, name),
            *(
                _bold(values, name != "oracle" and mean(values) == top)
                for values, top in zip(cells[name], best, strict=True)
            ),
        ]
        for name in order
    ]
    return table(["method", *(title for title, *_ in columns)], rows)


def method_results(method: str) -> str:
    """Return what the committed runs of a method reached and cost, one row for each task and metric."""
    tasks = [(*task, PLAIN) for task in (MINI, *ROOMS, CROPS)]
    tasks += [(f"{title}: mean over classes", *task, PER_CLASS) for title, *task in (CROPS, *REAL)]
    rows = []
    for title, suite, target, metric in tasks:
        if not (reached := of(suite, method, target, metric)):
            continue
        start, upper = (of(suite, bound, target, metric) for bound in ("source-only", "oracle"))
        costs = [middle(of(suite, method, target, column)) or 0 for column in ("wall_s", "peak_memory_mb")]
        closed = "" if method in NO_METHODS else f"{gap_closed(start, reached, upper):.0f} %"
        shown = [closed, f"{costs[0]:.0f}", f"{costs[1]:,.0f}"]
        rows.append([title, *map(spread, (start, reached, upper)), *shown])
    if not rows:
        none = "No run of this method is among the committed results of the suites.\n"
        return (settings_table(method) or none) + _published_form(method)
    header = ["task", "source model", method, "oracle", "gap closed", "seconds", "MiB"]
    return table(header, rows) + _published_form(method)


def gap_closed(start: list[float], reached: list[float], upper: list[float]) -> float:
    """Return how far a method has come from the source model to the oracle, in percent."""
    return 100 * (mean(reached) - mean(start)) / (mean(upper) - mean(start))


def _published_form(method: str) -> str:
    """Return what a method that is not in ``rooms-mini`` reaches on its task, where it was run."""
    if of(MINI[1], method, MINI[2]):
        return ""
    rows = read_csv(RESULTS / "studies" / "published-forms" / "runs.csv")
    now = [row for row in rows if row["method"] == method and row["source_model"] == "this version"]
    if not now:
        return ""
    reached, plain = spread([row["heldout"] for row in now]), spread([row["source_only_heldout"] for row in now])
    return (
        f"\nWith the code and the source models of today (study `published-forms`) it has {reached} % on "
        f"rooms: depth@xtion, and the source model alone {plain} %.\n"
    )


def processor_seconds_table(suite: str) -> str:
    """Return the processor time and memory of one run of each method of a suite, medians over runs that ran through."""
    rows = []
    for name in dict.fromkeys(row["method"] for row in runs(suite)):
        own = [row for row in runs(suite) if row["method"] == name]
        took, memory = (
            middle([row["cpu_s"] for row in own if "cpu_s" in row]),
            middle([r["peak_memory_mb"] for r in own]),
        )
        if took is not None:
            rows.append((took, [f"`{name}`", f"{took:.0f}", f"{memory:,.0f}"]))
    return table(["method", "processor seconds", "peak memory, MiB"], [cells for _, cells in sorted(rows)])


def validators_table() -> str:
    """Return how well each validator chooses an epoch, on rooms and on real pictures with ImageNet weights."""
    suites = {"rooms": "rooms", "crops": REAL[0][1], "near-infrared": REAL[1][1]}
    found = {
        head: {row["validator"]: row for row in read_csv(RESULTS / suite / "validators.csv")}
        for head, suite in suites.items()
    }
    rooms = found["rooms"]
    rows = []
    for name in sorted(rooms, key=lambda name: (name != "(last epoch)", rooms[name]["regret"])):
        shown = f"`{name}`" if name[0] != "(" else name
        mark = " <sup>1</sup>" if rooms[name]["runs"] < rooms["(last epoch)"]["runs"] else ""
        numbers = [own[name][column] for own in found.values() for column in ("regret", "rank_epochs", "rank_methods")]
        rows.append([shown + mark, *("" if number == "" else f"{number:.2f}" for number in numbers)])
    heads = [head for suite in suites for head in (f"{suite}: regret", "over epochs", "over methods")]
    return table(["validator", *heads], rows)


def regret(suite: str, validator: str) -> str:
    """Return the mean regret of a validator's choices, in points of held-out accuracy."""
    return f"{find(RESULTS / suite / 'validators.csv', 'validator', validator)['regret']:.2f}"


def validator_costs_table() -> str:
    """Return what scoring an epoch costs, in milliseconds."""
    slow = ("knn-agreement", "snd")
    rows = []
    for setting in ("1000 images, 12 classes", "5000 images, 65 classes", "20000 images, 65 classes"):
        took = speed("validators")["milliseconds"][setting]
        quick = sum(value for name, value in took.items() if name not in ("monitor", *slow))
        images, classes = setting.replace(" images", "").replace(" classes", "").split(", ")
        rows.append(
            [
                f"{int(images):,}, {classes}",
                *(_short(one) for one in (took["monitor"], quick, *(took[name] for name in slow))),
            ]
        )
    return table(["images, classes", "monitor", "all that read the bank once", "`knn-agreement`", "`snd`"], rows)


def study(name: str, variant: str, column: str = PLAIN) -> str:
    """Return mean ± standard deviation of a variant of a study."""
    row = find(RESULTS / "studies" / name / "cells.csv", "variant", variant)
    return mean_of(row, column)


def effect(name: str, factor: str, level: str, minus: str) -> str:
    """Return the difference of two levels of a study in points, with its 95 % interval; over all tasks, if several."""
    for row in reversed(read_csv(RESULTS / "studies" / name / "effects.csv")):
        pair = [f"{one:g}" if isinstance(one, float) else one for one in (row["level"], row["minus"])]
        if row["factor"] == factor and sorted(pair) == sorted([level, minus]):
            values = [row["difference"], row["low"], row["high"]]
            if pair[0] != level:
                values = [-values[0], -values[2], -values[1]]
            return "{:.1f} points [{:.1f}, {:.1f}]".format(*values)
    raise KeyError(f"{name}: no effect of {factor}, {level} minus {minus}")


def alarm(suite: str, name: str, column: str) -> str:
    """Return how often an alarm was false or missed, in percent of the epochs (``alarms_per_epoch.csv``)."""
    row = find(RESULTS / suite / "alarms_per_epoch.csv", "alarm", name)
    return f"{row[column]:.0f}"


def share_range(suite: str, method: str, signal: str) -> str:
    """Return the lowest and the highest value of a signal over the runs of a method, in percent."""
    values = [100 * signals[signal] for signals in last_signals(suite, method)]
    return f"{min(values):.0f} to {max(values):.0f} %"


def source_knowledge(suite: str) -> str:
    """Return what the source models reach on the source halves of the target's test images."""
    rows = read_csv(RESULTS / suite / "source_knowledge.csv")
    seeds = sorted({row["seed"] for row in rows})
    return spread([mean(row["accuracy"] for row in rows if row["seed"] == seed) for seed in seeds])


def timing(name: str, *keys: str) -> str:
    """Return one figure of a speed benchmark."""
    value = speed(name)
    for key in keys:
        value = value[key]
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def papers_hours_table() -> str:
    """Return the estimated GPU hours of each row of the papers' suites, over all tasks and seeds."""
    hours = speed("papers")["hours"]
    named = {row: f"`{row}`" if " " not in row else row for row in hours["sun-rgbd"]}
    rows = [[name, *(f"{own[row]:.2f}" for own in hours.values())] for row, name in named.items()]
    rows.append(["all", *(f"**{sum(own.values()):.1f}**" for own in hours.values())])
    return table(["row", *(f"`{suite}`, GPU hours" for suite in hours)], rows)


def _mean_over_rooms(method: str) -> float:
    return mean(value for _, suite, target in ROOMS for value in of(suite, method, target))


def _bold(values: list[float], is_best: bool) -> str:
    return f"**{spread(values)}**" if is_best else spread(values)


def _short(value: float) -> str:
    return f"{value:,.1f}" if value < 1 else f"{value:,.0f}"


def beside_the_best(*methods: str) -> str:
    """Return what methods reach on each task beside the source model and the oracle."""
    rows = []
    for title, suite, target in (MINI, *ROOMS, CROPS):
        reached = [of(suite, name, target) for name in ("source-only", *methods, "oracle")]
        rows.append([title, *map(spread, reached), f"{gap_closed(reached[0], reached[-2], reached[-1]):.0f} %"])
    return table(["task", "source model", *methods, "oracle", f"gap closed by {methods[-1]}"], rows)


def rooms_difficulty() -> str:
    """Return what the source model and the oracle reach on each task of rooms."""
    pairs = [(target, of("rooms", "source-only", target), of("rooms", "oracle", target)) for _, _, target in ROOMS]
    rows = [[f"rgb@kv1 -> {target}", spread(plain), spread(upper)] for target, plain, upper in pairs]
    return table(["task", "source model, not adapted", "oracle"], rows)


def scale_parts_table() -> str:
    """Return time and memory of each part that handles the whole target set, by its number of images."""
    told = speed("scale")["parts"]
    sizes = sorted(told, key=int)
    memory = [f"anonymous MiB, {int(size):,}" for size in sizes]
    header = ["part", *(f"µs an image, {int(size):,}" for size in sizes), *memory, f"mapped MiB, {int(sizes[-1]):,}"]
    rows = [
        [
            f"`{name}`" if " " not in name else name,
            *(_measured(told[size].get(name), "us_per_image", ",.1f") for size in sizes),
            *(_measured(told[size].get(name), "anonymous_mib") for size in sizes),
            _measured(told[sizes[-1]].get(name), "mapped_mib"),
        ]
        for name in told[sizes[0]]
    ]
    return table(header, rows)


def scale_runs_table() -> str:
    """Return time and memory of making shards and of a whole run, by the number of pairs."""
    told = speed("scale")["runs"]
    commands = {"make-shards": "`data make-shards`", "run": "`run`"}
    rows = [
        [f"{int(size):,}", commands[name], *(format(row[key], ",.0f") for key in ("cpu_s", *MEMORY))]
        for size in sorted(told, key=int)
        for name, row in told[size].items()
    ]
    return table(["pairs", "command", "processor seconds", "anonymous MiB", "mapped MiB"], rows, left=2)


def _measured(row: dict[str, float] | None, key: str, form: str = ",.0f") -> str:
    if row is None or key not in row:
        return "-"
    return ("≈ " if row.get("estimated") else "") + format(row[key], form)
