"""How fast the bench is beside a plain classical loop, on this provenance.

    make speed                                   all workloads but parity
    make speed ARGS='students dafl --repeats 5'  some of them
    make speed ARGS='parity --dataset cifar10'   do both sides learn alike?

    students  eight students of one teacher
    table     teacher, nasty teacher, and three students alone and from either of them
    dafl      steps of data-free learning
    input     an epoch of augmented images and nothing else
    parity    accuracies of both sides on the same real images, three seeds

Both sides do each workload in turn, in this process, and what is stated is the median
of the ratios, one a repeat: seconds of a busy machine mean little, ratios of neighbours
more. The classical side is float32 throughout, also beside the bench's bf16. Before
the first repeat both do everything once in small, untimed, so that neither pays for
imports. `classical` is the baseline; `contests` says what each workload includes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from dataclasses import asdict, replace
from statistics import mean, median
from typing import Any

import torch
from apart import Accuracies, parity, standard_error
from cases import Case, subset, usual
from classical import How
from contests import Contest, Side, dafl, inputs, students, table

from bench.worker import provenance

WORKLOADS = ("students", "table", "dafl", "input", "parity")
STUDENTS = ("cnn5", "resnet20", "resnet32")
USUAL: dict[str, dict[str, Any]] = {
    "students": {"images": 256, "test_images": 64, "epochs": 3},
    "table": {"images": 256, "test_images": 64, "epochs": 3},
    "dafl": {"images": 128, "test_images": 128, "epochs": 1},
    "input": {"images": 20_000, "test_images": 1, "epochs": 1},
    "parity": {"images": 5000, "test_images": 2000, "epochs": 5}
    | {"teacher": "cnn5", "students": ["lenet5"]},
}
"""Where the command line leaves a size open."""


def main(words: list[str] | None = None) -> int:
    """Measure what is asked for and print it."""
    args = _arguments(words)
    dataset = args.dataset or usual()
    facts = {
        "processor": provenance.processor(),
        "cores": os.cpu_count(),
        "threads": args.threads,
        "torch": torch.__version__,
        "dataset": dataset,
    }
    lines: list[dict[str, Any]] = []
    alike: list[Accuracies] = []
    for name in args.workloads:
        _say(f"{name}:")
        case = _case(args, name, dataset)
        if name == "parity":
            alike = parity(case, _say)
            continue
        if not args.cold:
            for contest in _contests(name, _small(case)):
                for side in (contest.classical, *contest.bench.values()):
                    _timed(side)
        for contest in _contests(name, case):
            lines += _interleaved(contest, args.repeats)
    if args.json:
        accuracies = [
            asdict(a) | {"difference": a.difference, "error": a.error} for a in alike
        ]
        found = {"machine": facts, "lines": lines, "parity": accuracies}
        print(json.dumps(found, indent=1))
    else:
        _print(facts, lines, alike)
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, cores = parser.add_argument, torch.get_num_threads()
    add("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    add("--dataset", help="of the bench, or random; else cifar10 if it is here")
    add("--images", type=int, help="to train on; input: of the epoch")
    add("--test-images", type=int, help="to score on, the same on both sides")
    add("--epochs", type=int, help="of every network")
    add("--repeats", type=int, default=3)
    add(
        "--threads",
        type=int,
        default=cores,
        help="of torch, on both sides; else one a core, as torch has it",
    )
    add("--workers", type=int, default=2, help="of each classical DataLoader")
    add(
        "--precision",
        action="append",
        choices=("fp32", "bf16"),
        default=[],
        help="of the bench, repeatable; else fp32",
    )
    add("--teacher", help="a network of the bench; resnet18, or cnn5 for parity")
    add("--students", nargs="+", help="networks; all three of the table, or lenet5")
    add("--steps", type=int, default=20, help="dafl: iterations")
    add("--batch", type=int, default=128, help="dafl: images a step")
    add("--cold", action="store_true", help="no untimed round before the first")
    add("--json", action="store_true", help="JSON, and nothing else, on stdout")
    args = parser.parse_args(words)
    for name in args.workloads:
        if name not in WORKLOADS:
            parser.error(f"unknown workload {name!r}: there are {', '.join(WORKLOADS)}")
    args.workloads = args.workloads or [w for w in WORKLOADS if w != "parity"]
    if "parity" in args.workloads and (args.dataset or usual()) == "random":
        parser.error("parity needs real images: name a --dataset of the bench")
    if args.repeats < 1:
        parser.error("write --repeats 1 or more")
    return args


def _case(args: argparse.Namespace, name: str, dataset: str) -> Case:
    """What `args` say of the workload `name`, and what is usual where they do not."""
    default = {"teacher": "resnet18", "students": STUDENTS, **USUAL[name]}
    asked = {k: getattr(args, k) for k in default}
    chosen = default | {k: v for k, v in asked.items() if v is not None}
    return Case(
        dataset=subset(dataset, chosen["images"], chosen["test_images"]),
        teacher=chosen["teacher"],
        students=tuple(chosen["students"]),
        how=How(chosen["epochs"], workers=args.workers),
        threads=args.threads,
        precisions=tuple(dict.fromkeys(args.precision or ["fp32"])),
        steps=args.steps,
        batch=args.batch,
    )


def _small(case: Case) -> Case:
    """The same workloads, done in a moment."""
    return replace(
        case,
        dataset=subset("random", 64, 64),
        teacher="cnn2",
        students=("lenet5",),
        steps=2,
        batch=8,
    )


def _contests(name: str, case: Case) -> list[Contest]:
    if name == "input":
        return inputs(case)
    make = {"students": students, "table": table, "dafl": dafl}[name]
    return [make(case)]


def _interleaved(contest: Contest, repeats: int) -> list[dict[str, Any]]:
    """Both sides in turn, `repeats` times; one line a precision."""
    plain: list[float] = []
    ours: dict[str, list[float]] = {precision: [] for precision in contest.bench}
    _say(f"  {contest.name}: {contest.note}")
    for _ in range(repeats):
        plain.append(_timed(contest.classical))
        for precision, side in contest.bench.items():
            ours[precision].append(_timed(side))
        spent = ", ".join(f"{k} {v[-1]:.2f} s" for k, v in ours.items())
        _say(f"    classical {plain[-1]:.2f} s, bench {spent}")
    lines = []
    for precision, seconds in ours.items():
        ratios = [a / b for a, b in zip(plain, seconds, strict=True)]
        lines.append(
            {
                "workload": contest.name,
                "note": contest.note,
                "precision": precision,
                "classical": plain,
                "bench": seconds,
                "ratios": ratios,
                "ratio": median(ratios),
            }
        )
    return lines


def _timed(side: Side) -> float:
    """Seconds of what `side` lends; what it prepares is not counted."""
    provenance.set_precision("fp32")
    with side() as work:
        gc.collect()
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


def _print(
    facts: dict[str, Any], lines: list[dict[str, Any]], alike: list[Accuracies]
) -> None:
    kind = facts["dataset"]
    if kind == "random":
        kind = "random pixels, as asked or for want of cifar10 on this machine"
    print(f"\n{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads")
    print(f"torch {facts['torch']}; images: {kind}")
    if lines:
        print("\n| workload | precision | classical s | bench s | ratio | repeats |")
        print("|---|---|---|---|---|---|")
    for line in lines:
        spent = [f"{median(line[side]):.2f}" for side in ("classical", "bench")]
        each = " ".join(f"{ratio:.2f}" for ratio in line["ratios"])
        cells = [line["workload"], line["precision"], *spent, f"{line['ratio']:.2f}"]
        print(f"| {' | '.join([*cells, each])} |")
    for note in dict.fromkeys(f"{line['workload']}: {line['note']}" for line in lines):
        print(f"\n{note}")
    if alike:
        print("\n| network | precision | classical | bench | difference | 2 s.e. |")
        print("|---|---|---|---|---|---|")
    for a in alike:
        sides = [
            f"{mean(v):.4f} ± {standard_error(v):.4f}" for v in (a.classical, a.bench)
        ]
        apart = f"{a.difference:+.4f} ± {a.error:.4f}"
        cells = [a.name, a.precision, *sides, apart, "yes" if a.agrees else "no"]
        print(f"| {' | '.join(cells)} |")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
