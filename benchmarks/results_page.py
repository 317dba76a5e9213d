"""Write docs/results.md and the tables of README.md from the stored results, so that every printed figure is stored.

    python -m benchmarks.results_page          # after a benchmark has stored a new result

docs/results.md has a section for each theme with the machine, the date, the command, and every figure, and one for
each file of `edgefs bench --publish` in benchmarks/published/. README.md has one table of accuracy and one of latency
between the markers <!-- accuracy --> and <!-- latency -->.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS
from edgefs.reports.publish import SCHEMA

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "benchmarks" / "published"
PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"
HEAD = """# Results

Every figure that this project states, as it was measured and stored. `python -m benchmarks.results_page` writes
this page from `benchmarks/results/*.json`; a test fails when it is out of date. Times are in milliseconds unless the
name says otherwise. "a ± b" is a mean with its 95 % interval. What was tried and did not work is in
[benchmarks/LOG.md](../benchmarks/LOG.md). The last sections are results of `edgefs bench --publish` on machines of
anybody, from `benchmarks/published/*.json` ([bench.md](bench.md) says how to add yours).
"""
ABOUT = {
    "accuracy": "Few-shot accuracy of the default network on data that it was not trained on, in percent.",
    "backbones": "Networks of timm: the lowest cosine of each engine to torch, on photographs.",
    "classifiers": "Classifiers of torchvision in float32: the lowest cosine of each artifact to torch, or the reason.",
    "clips": "Real clips: taught by holding a thing to the camera, then asked about other seconds and other things.",
    "compare-onnxruntime": "How often `edgefs bench --compare` is right, on pairs of real runs.",
    "demo": "The demo over three seeds of its virtual camera.",
    "export": "What export keeps of several networks: cosine, few-shot accuracy and latency of each artifact.",
    "fleet": "One gallery on many devices: how soon a change is everywhere, and a new device is ready.",
    "gallery": "What a growing gallery costs.",
    "gallery-cost": "What the operations of a gallery cost.",
    "ladder": "The models of `edgefs models`: accuracy, speed and size.",
    "bulk": "Embedding many pictures in one process and in two.",
    "large-gallery": "One answer of a gallery of up to a million classes, through the index and comparing every class.",
    "latency": "`recognize()` beside the bare engine, and the time from a new process to the first answer.",
    "latency-mobilenet_v2": "The same for MobileNetV2 at 224 pixels.",
    "live-page": "The page of the live app in Chromium: its first picture, what is loaded, what a viewer costs.",
    "live-restart": "From the start of the app's process to its first answer, with a full gallery.",
    "live-pipeline": "The live app on a 720p clip played in real time, without and with four viewers.",
    "live-rtsp": "How soon a lost network camera is reported, and how soon it is back.",
    "live-soak": "Memory, threads and file handles of the live app over minutes.",
    "live-sockets": "The live app while hostile clients keep sockets open.",
    "open-set": "How often strangers are accepted and known frames rejected, in percent, at a requested rate of 5 %.",
    "package": "From the wheel to the demo's table on each Python, and the versions that other machines get.",
    "pipeline": "Several simulated 720p cameras on one machine.",
    "relative-cost": "The default network beside MobileNetV2 at 224 pixels.",
    "side-by-side": "MobileNetV2 at 224 pixels, the same model in several programs, called in turn.",
    "tensorrt-rtx": "Plans of TensorRT for RTX, built without a GPU.",
    "throughput": "Frames a second with several frames in one call.",
    "time-to-export": "How long an export takes, and which steps take the time.",
    "training": "One step of each training method beside other libraries.",
    "training-second-order": "One step of second-order MAML and of Reptile beside other libraries.",
    "transfer-cache": "The store of features of frozen networks.",
    "transfer-mnist-usps": "Domain adaptation: accuracy on the target, in percent, over five seeds.",
    "transfer-office": "Fine-tuning with 20 pictures a class: accuracy in percent over five splits.",
    "transfer-signs": "Fine-tuning with 10 pictures a class: accuracy in percent over five splits.",
    "transfer-step": "One step of fine-tuning beside a loop written by hand.",
    "transfer-usps-mnist": "Domain adaptation: accuracy on the target, in percent, over five seeds.",
    "transfer-webcam": "Domain adaptation on frozen features: accuracy on the target, in percent, over five seeds.",
}
# Identities, raw samples, and figures that others on the page contain.
LEFT_OUT = {
    *("host", "schema", "fingerprint", "sessions", "changes", "samples_ms", "blocks", "engine_call", "before", "after"),
    *("warnings", "reason", "skipped", "golden_cosine", "input", "machine", "required", "passed", "options", "layers"),
    *("uncontended_p90_ms", "uncontended_p95_ms", "uncontended_p99_ms", "uncontended_max_ms", "absent"),
}
WIDE = 10
Table = tuple[str, list[str], list[list[str]]]  # title, header, rows


def newest() -> dict[str, dict[str, Any]]:
    """The newest result of each theme."""
    paths = sorted(RESULTS.glob("*.json"), key=lambda path: path.stem[-10:])
    return dict(
        sorted((path.stem.split("_amd-")[0].split("_intel-")[0], json.loads(path.read_text())) for path in paths)
    )


def published(folder: Path = PUBLISHED) -> dict[str, dict[str, Any]]:
    """The results of `edgefs bench --publish` in a folder, by the name of their file."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    for name, result in found.items():
        if result.get("schema") != SCHEMA:
            raise SystemExit(
                f"{folder / name}.json must be written by `edgefs bench --publish`, with the schema {SCHEMA}, but has "
                f"{result.get('schema')}; measure again with this version, or remove the file"
            )
    return found


def page(results: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/results.md as text.

    Args:
        results: What `newest` gives.
        others: What `published` gives.
    """
    parts = [HEAD]
    for theme, result in results.items():
        host = result["host"]
        ran = f"{host['machine']}, {host['date'][:10]}, commit {host['commit']}: `{host['command']}`"
        parts += [f"## {theme}\n\n{ABOUT.get(theme, '')}\n\n{ran}\n", *_figures(theme, result)]
    for name, result in others.items():
        parts += [f"## Published: {name}\n\n{_about(result)}\n", *_figures(name, result)]
    return "\n".join(parts)


def _figures(theme: str, result: Mapping[str, Any]) -> Iterator[str]:
    for title, header, rows in tables(theme, result):
        yield (f"**{title}**\n\n" if title != theme else "") + markdown(header, rows)


def _about(result: Mapping[str, Any]) -> str:
    """What a published result measured, where and when, and the reasons to doubt it."""
    host = result["host"]
    board = f"{host['board']}, " if host["board"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in host["versions"].items())
    doubts = "".join(f" {each[:1].upper()}{each[1:]}." for each in result["warnings"])
    ran = f"{board}{host['machine']}, {host['date'][:10]}, `edgefs bench --publish` for {result['seconds']:g} s a part"
    return f"{result['bundle']['name']} on {ran}. Python {host['python']}, {versions}.{doubts}"


def tables(title: str, node: Any) -> Iterator[Table]:
    """Split a nested result into tables: similar objects become the rows of one, other values one with two columns."""
    named = dict(enumerate(node)) if isinstance(node, list) else node
    kept = {str(key): value for key, value in named.items() if key not in LEFT_OUT and not _is_engine(key, value)}
    records = {key: value for key, value in kept.items() if isinstance(value, dict)}
    single = {key: cell(value) for key, value in kept.items() if cell(value) is not None}
    if single:
        yield title, ["figure", "value"], [[words(key), value] for key, value in single.items()]
    if _alike(list(records.values())):
        flat = {key: dict(_flat(value)) for key, value in records.items()}
        columns = list(dict.fromkeys(column for row in flat.values() for column in row))
        body = [[_name(key, records[key]), *(row.get(column, "-") for column in columns)] for key, row in flat.items()]
        whole = [["", *map(words, columns)], *body]
        if len(columns) > WIDE:  # a table with many columns is read more easily with rows and columns exchanged
            whole = [list(row) for row in zip(*whole, strict=True)]
        elif isinstance(node, list):  # the number of an item says nothing
            whole = [row[1:] for row in whole]
        yield title, whole[0], whole[1:]
        for key, record in records.items():
            for name, value in record.items():
                if name not in LEFT_OUT and isinstance(value, list) and value and isinstance(value[0], dict):
                    yield from tables(f"{title}, {_name(key, record)}: {words(name)}", value)
        records = {}
    lists = {key: value for key, value in kept.items() if isinstance(value, list) and cell(value) is None and value}
    for key, value in (records | lists).items():
        yield from tables(words(key) if title in ABOUT else f"{title}, {words(key)}", value)


def _alike(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two or more objects share so many keys that they can be the rows of one table."""
    if len(records) < 2:
        return False
    shared = len(set.intersection(*map(set, records)))
    simple = all(cell(value) is not None for record in records for value in record.values())
    return shared > 0 and (simple or all(2 * shared >= len(record) for record in records))


def _name(key: str, record: Mapping[str, Any]) -> str:
    """What to call a record: its place in a list says less than what it is about."""
    about = [str(record[name]) for name in ("network", "target", "engine", "precision", "seed") if name in record]
    return " ".join(about) if key.isdecimal() and about else words(key)


def _is_engine(key: object, value: Any) -> bool:
    return key == "engine" and isinstance(value, dict)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if key in LEFT_OUT or _is_engine(key, value):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        elif (text := cell(value)) is not None:
            yield prefix + key, text


def cell(value: Any) -> str | None:
    """A value as the text of a cell; None for an object or a list of them."""
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(part, float) for part in value):
            return f"{cell(value[0])} ± {cell(value[1])}"
        parts = [cell(part) for part in value]
        return None if None in parts or not parts else ", ".join(part for part in parts if part)
    if isinstance(value, Mapping):
        return None
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "/")


def words(key: str) -> str:
    return key.replace("_", " ")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def accuracy_table(results: Mapping[str, Any]) -> str:
    """The table of accuracy in the README."""
    rows: dict[str, list[str]] = {}
    for name, found in results["accuracy"]["figures"].items():
        data, n_way, shots, *kind = name.replace("-shot", " shot").split()
        of = f"± {found['interval']:.1f}" if "interval" in found else f"of {found['queries']} views"
        row = rows.setdefault(f"{words(data)}, {n_way.removesuffix('-way')} classes", ["-"] * 4)
        row[shots != "1"] = f"{found['mean']:.1f} {of}" + (f", {shots} {kind[0].rstrip('s')}s" if shots != "1" else "")
    for name, found in results["open-set"]["figures"].items():
        row = rows.setdefault(f"{words(name.split()[0])}, {found['n_known']} classes", ["-"] * 4)
        row[2:] = (f"{found[key][0]:.1f} ± {found[key][1]:.1f}" for key in ("false_accepts", "false_rejects"))
    for run in results["demo"]["runs"]:
        known, strangers = (
            {key: 100 * run[kind][key] for key in ("share", "low", "high")} for kind in ("known", "strangers")
        )
        rows[f"demo, seed {run['seed']}, 5 classes"] = [
            "-",
            f"{known['share']:.1f} ({known['low']:.1f} to {known['high']:.1f}), 1 second",
            f"{100 - strangers['share']:.1f} ({100 - strangers['high']:.1f} to {100 - strangers['low']:.1f})",
            "-",
        ]
    header = ["percent", "named right, 1 shot", "named right, more shots", "strangers accepted", "known not sure"]
    return markdown(header, [[name, *row] for name, row in rows.items()]) + _ran(
        results, "accuracy", "open-set", "demo"
    )


def latency_table(results: Mapping[str, Any]) -> str:
    """The table of latency in the README."""
    (bundle,) = results["latency"]["bundles"].values()
    rows = [
        _latency_row(
            f"default network, {row['engine']} {row['precision']}", row["engine_p50_ms"], row["recognize_p50_ms"]
        )
        for row in bundle["results"]
    ]
    others = results["side-by-side"]["contenders"]
    for name, found in others.items():
        if engine := others.get(name.replace("recognize", "engine")) if name.startswith("edgefs recognize") else None:
            label = f"MobileNetV2 at 224, {name.partition(', ')[2]}"
            rows.append(_latency_row(label, engine["p50_ms"], found["p50_ms"]))
    eager = others["torch + torchvision + easyfsl"]["p50_ms"]
    rows.append(["MobileNetV2 at 224, eager torch, torchvision, easyfsl", "-", f"{eager:.1f} ms", "-"])
    cold, cached = (bundle["opening_auto"][when]["until_first_answer_ms"] / 1e3 for when in ("cold", "cached"))
    cameras = results["pipeline"]["engines"]["onnxruntime"]["runs"]
    sentences = [
        f"A new process gives its first answer after {cold:.2f} s, or {cached:.2f} s when the model is in the cache.",
        *(
            f"{run['cameras']} cameras with {run['fps']:.0f} frames a second: {run['dropped']} of "
            f"{run['dropped'] + run['recognised']} frames dropped, {run['cpus_used']:.2f} CPU."
            for run in cameras
            if run["cameras"] > 2
        ),
    ]
    table = markdown(["model and engine", "bare engine", "`recognize()` on a 720p frame", "ratio"], rows)
    return f"{table}\n{' '.join(sentences)}\n" + _ran(results, "latency", "side-by-side", "pipeline")


def _latency_row(name: str, engine_ms: float, recognize_ms: float) -> list[str]:
    return [name, f"{engine_ms:.2f} ms", f"{recognize_ms:.2f} ms", f"{recognize_ms / engine_ms:.2f}"]


def _ran(results: Mapping[str, Any], *themes: str) -> str:
    """Where and when the figures of a table were measured."""
    hosts = [results[theme]["host"] for theme in themes]
    machines = " and ".join(dict.fromkeys(host["machine"] for host in hosts))
    ran = ", ".join(f"`{' '.join(host['command'].split()[:3])}` ({host['date'][:10]})" for host in hosts)
    return f"\nMeasured on {machines} by {ran}.\n"


def readme(text: str, results: Mapping[str, Any]) -> str:
    """README.md with its generated tables."""
    for name, table in (("accuracy", accuracy_table(results)), ("latency", latency_table(results))):
        marked = re.compile(rf"(<!-- {name} -->\n).*(<!-- end of {name} -->)", re.DOTALL)
        text = marked.sub(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)  # type: ignore[misc]
    return text


def main() -> None:
    results, others = newest(), published()
    PAGE.write_text(page(results, others))
    README.write_text(readme(README.read_text(), results))
    count = f"{len(results)} themes, {len(others)} published results"
    print(f"wrote {PAGE.relative_to(ROOT)} ({count}) and the tables of {README.name}")


if __name__ == "__main__":
    main()
