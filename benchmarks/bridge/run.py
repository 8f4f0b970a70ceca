"""Export to microcontrollers: bit equality, instructions, flash and RAM, accuracy at equal flash
compared with emlearn, and the link under faults.  QEMU emulates the boards."""

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.bridge import link as bridge_link
from edge.export import (
    KIB,
    ExportRequest,
    ExtractShape,
    FactStatistics,
    FlashBudget,
    MeasuredExtract,
    full_shape,
    measure_extract,
    plan_export,
    with_head,
)
from firmware_bridge import decide, decision_words

from ..report import BenchmarkReport, BenchmarkRow
from .board import (
    BOARDS,
    M3,
    STAGES,
    build_host,
    build_speed,
    build_vectors,
    count_instructions,
    decide_natively,
    decide_on,
    measure_footprint,
    mismatched_bits,
    missing_tools,
)
from .knowledge import SIDE, Measurements, learn, load_digits, load_pacs
from .peers import PeerTask, best_peers

RATE: Final = 0.01
"""The default false-alarm rate of the runtime."""
BITS: Final = 2048
"""Bits of a hypervector: a quarter of the gateway's, to fit microcontrollers."""
CONCEPT_DIGITS: Final = 8
"""Digits 0 to 7 are known, 8 and 9 are new."""
SPEED_SAMPLES: Final = 40
"""Samples that instructions are counted over; emulation is slow."""
BUDGETS_KIB: Final = (16, 64, 256)
"""Flash for knowledge: small, usual and large microcontrollers.  Chosen by hand."""
RAM_BYTES: Final = 64 * KIB
"""RAM of the target microcontrollers.  Chosen by hand."""
FUZZ_INPUTS: Final = 1_000_000
"""Chosen by hand: a run takes minutes."""
READINGS: Final = 5_000
"""Enough that a loss of one in a thousand would show five times."""
RANDOM_COUNT: Final = 512
"""Random features: eight rounds of the 64 columns."""

Summary = dict[str, float]


def run(data: Path | None, inputs: int = FUZZ_INPUTS, readings: int = READINGS) -> BenchmarkReport:
    """Run all parts that the installed tools and data allow, about ten minutes.  inputs: fuzzing
    inputs for the C link; readings: sent over each wire."""
    notes = [f"skipped on boards: {name} is not installed" for name in missing_tools()]
    digits, pacs = load_digits(), load_pacs(data)
    sets = [("digits", digits), *([("pacs", pacs)] if pacs else [])]
    if pacs is None:
        notes.append("skipped PACS: needs --data with it")
    grounds = [(name, what, learn(what)) for name, what in sets]
    rows: list[BenchmarkRow] = []
    link = bridge_link.summary(count=readings, inputs=inputs)
    with TemporaryDirectory(prefix="bridge-") as name:
        folder = Path(name)
        rows += _equality(grounds, folder)
        if not missing_tools():
            rows += _speed(folder)
            rows += _sizes(folder)
            if find_spec("emlearn") is None:
                notes.append("skipped emlearn: it is not installed (extra `bench`)")
            else:
                rows += [row for one in grounds for row in _flash(*one)]
    return BenchmarkReport(
        "bridge", tuple(rows), summarise(rows, grounds[-1][0]) | link, tuple(notes)
    )


def summarise(rows: list[BenchmarkRow], task: str) -> Summary:
    """Return the summary from the rows; task: the set whose accuracies count."""
    at = {(row.method, row.metric): row.value for row in rows}
    made = {
        "vectors": sum(v for (_, metric), v in at.items() if metric == "vectors"),
    }
    for place in ("host", *(board.name for board in BOARDS)):
        found = [v for (_, m), v in at.items() if m == f"mismatched_bits_{place}"]
        made |= {f"mismatches_{place}": sum(found)} if found else {}
    named = {f"insn_{stage}": ("auricle", f"instructions_{stage}") for stage in STAGES}
    named |= {
        "insn_ratio": ("auricle", "instructions_ratio"),
        "flash_bytes": ("link + detector", "flash_bytes"),
        "ram_bytes": ("link + detector", "ram_bytes"),
        "ram_bytes_wide": ("link + detector, 1,280 features", "ram_bytes"),
        "random_flash_bytes": ("random features", "flash_bytes"),
        "insn_random": ("auricle", "instructions_random"),
    }
    for kib in BUDGETS_KIB:
        named[f"our_accuracy_{kib}"] = (f"auricle, {task}", f"accuracy_{kib}_kib")
        named[f"emlearn_accuracy_{kib}"] = (f"emlearn best, {task}", f"accuracy_{kib}_kib")
        named[f"emlearn_flash_bytes_{kib}"] = (f"emlearn best, {task}", f"flash_bytes_{kib}_kib")
    middle = f"_{BUDGETS_KIB[1]}"
    named |= {k.removesuffix(middle): key for k, key in named.items() if k.endswith(middle)}
    return made | {name: at[key] for name, key in named.items() if key in at}


def _equality(
    grounds: list[tuple[str, Measurements, FactStatistics]], folder: Path
) -> list[BenchmarkRow]:
    """Compare the decisions of Python, of C here and of C on the boards for every vector of every
    set."""
    rows = []
    host = build_host(folder) if shutil.which("gcc") else None
    boards = [] if missing_tools() else [(b, build_vectors(b, folder)) for b in BOARDS]
    for name, what, ground in grounds:
        whole = full_shape(ground)
        # The plane of wide features exceeds any microcontroller.
        shape = replace(whole, bits=BITS, plane=what.rows.shape[1] <= 256)
        fewest = ground.random.rounds[-1]
        extract = with_head(ground, measure_extract(ground, shape, RATE), rounds=fewest).extract
        samples = np.concatenate([what.rows, what.more])
        expected = decision_words(decide(extract, samples))
        rows.append(BenchmarkRow(name, "vectors", len(samples)))
        if host:
            found = decide_natively(host, extract, samples)
            rows.append(
                BenchmarkRow(name, "mismatched_bits_host", mismatched_bits(found, expected))
            )
        for board, program in boards:
            found = decide_on(board, program, extract, samples)
            wrong = mismatched_bits(found, expected)
            rows.append(BenchmarkRow(name, f"mismatched_bits_{board.name}", wrong))
    return rows


def _speed(folder: Path) -> list[BenchmarkRow]:
    """Instructions per decision on the M3: 2,048 bits, 16 concepts, 64 features."""
    digits = load_digits(CONCEPT_DIGITS)
    ground = learn(digits)
    extract = measure_extract(
        ground, ExtractShape(bits=BITS, columns=False, plane=False, domains=ground.domains), RATE
    )
    assert len(extract.extract.concepts) == 16, "two domains of eight digits"
    counted = count_instructions(
        M3, build_speed(M3, folder), extract.extract, digits.rows[:SPEED_SAMPLES]
    )
    assert not counted.disagreeing, "both must decide alike"
    rows = [
        BenchmarkRow(method, f"instructions_{stage}", each[stage])
        for method, each in (("auricle", counted.ours), ("straightforward C", counted.plain))
        for stage in STAGES
    ]
    rows.append(
        BenchmarkRow("auricle", "instructions_random", _random_instructions(digits, ground, folder))
    )
    ratio = sum(counted.ours.values()) / sum(counted.plain.values())
    return [*rows, BenchmarkRow("auricle", "instructions_ratio", ratio)]


def _random_instructions(digits: Measurements, ground: FactStatistics, folder: Path) -> float:
    """Instructions of an answer with 512 random features."""
    plain = measure_extract(
        ground, ExtractShape(bits=BITS, columns=False, plane=False, domains=ground.domains), RATE
    )
    rounds = next(n for n in ground.random.rounds if n * SIDE * SIDE == RANDOM_COUNT)
    extract = with_head(ground, plain, rounds=rounds).extract
    program = build_speed(M3, folder)
    return count_instructions(M3, program, extract, digits.rows[:SPEED_SAMPLES]).ours["answer"]


def _sizes(folder: Path) -> list[BenchmarkRow]:
    sizes = measure_footprint(M3, folder)
    named = (("link + detector", "both"), ("detector", "detector"))
    rows = [
        BenchmarkRow(method, f"{kind}_bytes", sizes[f"{name}_{kind}"])
        for method, name in named
        for kind in ("flash", "ram")
    ]
    more = sizes["random_flash"] - sizes["detector_flash"]
    rows.append(BenchmarkRow("link + detector, 1,280 features", "ram_bytes", sizes["wide_ram"]))
    return [*rows, BenchmarkRow("random features", "flash_bytes", more)]


def _flash(name: str, what: Measurements, ground: FactStatistics) -> list[BenchmarkRow]:
    """Compare the accuracy on held-out samples at equal flash."""
    rows = []
    _, labels = np.unique(what.labels, return_inverse=True)
    task = PeerTask(what.rows, labels, what.train)
    for kib in BUDGETS_KIB:
        chosen = plan_export(ground, ExportRequest(RATE), FlashBudget(kib * KIB, RAM_BYTES)).chosen
        rows.append(
            BenchmarkRow(f"auricle, {name}", f"accuracy_{kib}_kib", _accuracy(chosen, what))
        )
        rows.append(BenchmarkRow(f"auricle, {name}", f"flash_bytes_{kib}_kib", chosen.flash_bytes))
        peers = best_peers(task, kib * KIB)
        rows += [
            BenchmarkRow(f"emlearn {one.name}, {name}", f"accuracy_{kib}_kib", one.accuracy)
            for one in peers
        ]
        best = max(peers, key=lambda one: one.accuracy)
        rows.append(BenchmarkRow(f"emlearn best, {name}", f"accuracy_{kib}_kib", best.accuracy))
        rows.append(
            BenchmarkRow(f"emlearn best, {name}", f"flash_bytes_{kib}_kib", best.flash_bytes)
        )
    return rows


def _accuracy(chosen: MeasuredExtract, what: Measurements) -> float:
    decided = decide(chosen.extract, what.rows[~what.train])
    answers: NDArray[np.str_] = np.array(chosen.extract.labels)[decided.answer]
    return float((answers == what.labels[~what.train]).mean())
