"""The decision as one ONNX graph: encoder, quantiser, detector, router and adaptors.

Any serving stack that runs ONNX then decides as the home does.  The graph takes uint8 pixels of the
card's size, a window or a vector, and returns `label`, `scores`, `domain`, `novelty` and
`threshold`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import encoder
from encoder import Card, Graph, Value

from ..core import EXPERTS, NOVELTY_SPREAD, EdgeError, Knowledge
from ..storage import write_files
from .onnx_detector import DetectedValues, add_detector
from .onnx_graph import CAST_TO, GraphBuilder
from .onnx_heads import add_adaptor
from .onnx_router import add_router

OPSET_MIN: Final = 13
"""The operators that the graph uses: ReduceSum with axes as an input (ONNX 1.8)."""

NATURAL: Final = {"image": "HWC", "window": "LC", "vector": "V"}
"""The axes of a measurement by the kind of the card."""

NAMES: Final = {"image": "pixels", "window": "window", "vector": "vector"}
"""The name of the input by the kind of the card."""

OPSET_ALONE: Final = 13  # for cards without a model file: loaded by every supported onnxruntime

UNKNOWN_SCORE: Final = float(np.finfo(np.float32).min)
"""The score of a label that the answering domain does not know: below every other, and finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedDecision:
    """Describes an exported file.  labels: in the order of `scores`.  input_shape: without the
    batch.  novelty: whether it holds the detector."""

    file_bytes: int
    card: str
    digest: str
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    input_name: str
    input_dtype: str
    input_shape: tuple[int, ...]
    novelty: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRequest:
    """Options of an export.  domain: the one that answers; empty: all, with routing.  novelty:
    whether to include the detector; with several domains a novel sample is then answered by a
    mixture of the nearest ones, as the runtime does.  rate: of false alarms."""

    domain: str = ""
    novelty: bool = True
    rate: float = 0.01


def export_decision(
    path: Path, card: Card, known: Knowledge, request: DecisionRequest
) -> ExportedDecision:
    """Write a home's decision as an ONNX file.

    Raises EdgeError for a home without facts, an unknown domain, a card without a quantiser, or
    knowledge that cannot be exported; OSError if the file cannot be written.
    """
    domains = _domains(known, request.domain)
    base = b"" if card.file is None else Path(card.folder or "", card.file).read_bytes()
    graph = GraphBuilder(_opset(base, card))
    given, prepared = _input(graph, card)
    before = len(graph.nodes)
    levels = _levels(graph, card, prepared)
    labels = tuple(sorted({one for name in domains for one in known.adaptor(name).labels}))
    answers = {
        name: add_adaptor(graph, known.adaptor(name), levels, card.width) for name in domains
    }
    detected = None
    if request.novelty:
        memory, calibration = known.memory, known.calibration()
        detected = add_detector(graph, memory, calibration, levels, request.rate)
    table = _AnswerTable(graph, known, answers, labels)
    if len(domains) == 1:
        scores, domain = table.only()
    else:
        scores, domain = table.routed(add_router(graph, known.router(), levels), detected)
    results = _results(graph, (labels, domains), (scores, domain), detected)
    facts = _facts(card, known, labels, domains)
    made = Graph(
        nodes=graph.nodes[before:] if base else graph.nodes,
        weights=graph.weights,
        given=[given],
        results=results,
        facts=facts,
        before=graph.nodes[:before] if base else (),
    )
    data = encoder.onnx_around(base, made) if base else encoder.graph_bytes(made)
    write_files(path.absolute().parent, {path.name: data})
    return ExportedDecision(
        file_bytes=len(data),
        card=card.fingerprint,
        digest=facts["auricle.digest"],
        domains=domains,
        labels=labels,
        input_name=given.name,
        input_dtype=given.dtype,
        input_shape=given.shape,
        novelty=detected is not None,
    )


def _domains(known: Knowledge, wanted: str) -> tuple[str, ...]:
    """Return the domains that answer, sorted."""
    if not known.domains:
        raise EdgeError("writing ONNX: nothing has been learned yet", "learn something first")
    if wanted and wanted not in known.domains:
        raise EdgeError(
            f"writing ONNX: there is no domain {wanted!r}", f"known: {', '.join(known.domains)}"
        )
    if not wanted and len(known.domains) > 1 and known.contributing:
        raise EdgeError(
            "writing ONNX: routing with the sums of other devices cannot be exported",
            "choose the domain that answers: --domain",
        )
    return (wanted,) if wanted else tuple(known.domains)


def _opset(base: bytes, card: Card) -> int:
    """Return the version of the operators that the file uses: that of the encoder."""
    try:
        found = encoder.opset_of(base) if base else OPSET_ALONE
    except ValueError as error:
        raise EdgeError(f"reading {card.file}: found {error}", "export the model again") from error
    if found < OPSET_MIN:
        raise EdgeError(
            f"writing ONNX: the encoder {card.file} uses operator set {found}, expected "
            f"{OPSET_MIN} or higher",
            "convert it with onnx.version_converter, and make a card for it",
        )
    return found


def _input(graph: GraphBuilder, card: Card) -> tuple[Value, str]:
    """Return the input of the file, and the value that the encoder takes: normalised, in its layout
    and dtype, as `encoder.prepare_image` and its siblings make it."""
    prepared, wanted = card.preparation, card.input
    natural = NATURAL[card.kind]
    if card.kind == "image":
        height, width = prepared.crop or prepared.resize or (wanted.size("H"), wanted.size("W"))
        shape: tuple[int, ...] = (height, width, 1 if prepared.colour == "L" else 3)
    elif card.kind == "window":
        shape = (prepared.length or -1, wanted.size("C"))
    else:
        shape = (wanted.size("V"),)
    taken = card.file is not None and NAMES[card.kind] == wanted.name
    name = f"raw_{wanted.name}" if taken else NAMES[card.kind]
    given = Value(name, shape, "uint8" if card.kind == "image" else "float32")
    value = graph.cast(name, "float32")
    if prepared.colour == "BGR" and card.kind == "image":
        value = graph.op("Gather", value, graph.hold([2, 1, 0], "int64"), axis=3)
    if any(prepared.mean) or set(prepared.scale) != {1.0}:
        value = graph.sub(value, graph.hold(prepared.mean))
        value = graph.op("Div", value, graph.hold(prepared.scale))
    kept = [axis for axis in wanted.layout if axis in natural]
    dropped = [axis for axis in natural if axis not in kept]
    order = (0, *(1 + natural.index(axis) for axis in (*kept, *dropped)))
    if order != tuple(range(len(order))):
        value = graph.op("Transpose", value, perm=order)
    sizes = dict(zip(natural, shape, strict=True))
    if dropped or "1" in wanted.layout:
        value = graph.reshape(value, (-1, *(sizes.get(axis, 1) for axis in wanted.layout[1:])))
    limits = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}.get(wanted.dtype)
    if limits:
        value = graph.op("Clip", graph.op("Round", value), *map(graph.hold, limits))
    if wanted.dtype != "float32":
        value = graph.op("Cast", value, to=CAST_TO[wanted.dtype])
    if card.file is not None:
        graph.name(value, wanted.name)
    return given, value


def _levels(graph: GraphBuilder, card: Card, prepared: str) -> str:
    """Return the quantised features, float32 [batch, width] from 0 to 255: taps side by side."""
    quantiser = card.quantiser
    if quantiser is None:
        raise EdgeError(
            f"writing ONNX: the card of {card.name!r} has no quantiser",
            "freeze one with `auricle encoder calibrate`",
        )
    features = prepared
    if card.file is not None:
        with encoder.open_model(card) as model:
            ranks = model.tap_ranks()
        parts = []
        for tap, rank in zip(card.taps, ranks, strict=True):
            others = tuple(axis for axis in range(1, rank) if axis != tap.axis)
            value = graph.cast(tap.output, "float32")
            parts.append(graph.reduce("ReduceMean", value, others) if others else value)
        features = graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    steps = graph.op("Round", graph.op("Div", features, graph.hold(quantiser.scale)))
    steps = graph.add(steps, graph.hold(quantiser.zero))
    return graph.op("Clip", steps, graph.hold(0.0), graph.hold(255.0))


class _AnswerTable:
    """The answers of several domains side by side.  answers: scores by domain, each in the order of
    its adaptor's labels."""

    def __init__(
        self,
        graph: GraphBuilder,
        known: Knowledge,
        answers: Mapping[str, str],
        labels: tuple[str, ...],
    ) -> None:
        self._graph, self._count = graph, len(labels)
        own = [known.adaptor(name).labels for name in answers]
        self._knows = np.array([[label in some for label in labels] for some in own])
        self._rows = [
            _spread(graph, value, some, labels)
            for value, some in zip(answers.values(), own, strict=True)
        ]

    def only(self) -> tuple[str, str]:
        """Return the scores float32 [batch, labels] of the only domain, and its place int64
        [batch]."""
        graph, row = self._graph, self._rows[0]
        first = graph.op("Gather", row, graph.hold(0, "int64"), axis=1)
        return row, graph.cast(graph.mul(first, graph.hold(0.0)), "int64")

    def routed(self, chosen: str, detected: DetectedValues | None) -> tuple[str, str]:
        """Return the scores of the domain that the router chooses for each sample, and its place;
        of a novel sample, those of a mixture of the nearest domains, and the nearest."""
        graph, count = self._graph, len(self._rows)
        deep = [graph.reshape(row, (-1, 1, self._count)) for row in self._rows]
        every = graph.op("Concat", *deep, axis=1)
        asked = graph.op(
            "Equal", graph.reshape(chosen, (-1, 1)), graph.hold(np.arange(count)[None], "int64")
        )
        picked = graph.op("Where", graph.reshape(asked, (-1, count, 1)), every, graph.hold(0.0))
        scores = graph.total(picked, 1)
        if detected is None:
            return scores, chosen
        novel = graph.op("Greater", detected.novelty, detected.limit)
        mixed = self._mixture(every, detected.nearest)
        scores = graph.op("Where", graph.reshape(novel, (-1, 1)), mixed, scores)
        return scores, graph.op("Where", novel, detected.domain, chosen)

    def _mixture(self, every: str, nearest: str) -> str:
        """Return `mixture_scores` of the runtime, float32 [batch, labels]."""
        graph, count = self._graph, len(self._rows)
        rank = graph.ranks(nearest, np.ones((count, count), np.bool_))
        taken = graph.op("Less", rank, graph.hold(EXPERTS, "int64"))
        least = graph.reduce("ReduceMin", nearest, (1,), keep=True)
        spread = graph.hold(float(NOVELTY_SPREAD), "float64")
        weights = graph.op("Exp", graph.op("Div", graph.sub(least, nearest), spread))
        weights = graph.op("Where", taken, weights, graph.hold(0.0, "float64"))
        weights = graph.op("Div", weights, graph.total(weights, 1, keep=True))
        knows = graph.hold(self._knows[None], "bool")
        filled = graph.op("Where", knows, every, graph.hold(0.0))
        weighted = graph.mul(graph.reshape(weights, (-1, count, 1)), graph.cast(filled, "float64"))
        mixed = graph.cast(graph.total(weighted, 1), "float32")
        asked = graph.op("And", graph.reshape(taken, (-1, count, 1)), knows)
        covered = graph.op(
            "Greater", graph.total(graph.cast(asked, "int64"), 1), graph.hold(0, "int64")
        )
        return graph.op("Where", covered, mixed, graph.hold(UNKNOWN_SCORE))


def _spread(graph: GraphBuilder, scores: str, own: tuple[str, ...], labels: tuple[str, ...]) -> str:
    """Return scores in the order of all labels; those that `own` lacks get `UNKNOWN_SCORE`."""
    if own == labels:
        return scores
    pads = graph.hold([0, 0, 0, 1], "int64")
    padded = graph.op("Pad", scores, pads, graph.hold(UNKNOWN_SCORE))
    places = [own.index(label) if label in own else len(own) for label in labels]
    return graph.op("Gather", padded, graph.hold(places, "int64"), axis=1)


def _results(
    graph: GraphBuilder,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    values: tuple[str, str],
    detected: DetectedValues | None,
) -> list[Value]:
    """Name the outputs.  names: labels and domains; values: scores, place of the domain."""
    (labels, domains), (scores, domain) = names, values
    best = graph.op("ArgMax", scores, axis=1, keepdims=0)
    graph.name(graph.op("Gather", graph.hold(labels, "text"), best, axis=0), "label")
    graph.name(scores, "scores")
    graph.name(graph.op("Gather", graph.hold(domains, "text"), domain, axis=0), "domain")
    results = [Value("label", (), "text"), Value("scores", (len(labels),))]
    results.append(Value("domain", (), "text"))
    if detected is not None:
        for name, value in (("novelty", detected.novelty), ("threshold", detected.limit)):
            graph.name(graph.cast(value, "int64"), name)
            results.append(Value(name, (), "int64"))
    return results


def _facts(
    card: Card, known: Knowledge, labels: tuple[str, ...], domains: tuple[str, ...]
) -> dict[str, str]:
    """Return the metadata of the file."""
    return {
        "auricle.card": card.fingerprint,
        "auricle.encoder": card.name,
        "auricle.encoder_licence": card.licence,
        "auricle.digest": known.digest(card.fingerprint),
        "auricle.labels": json.dumps(labels, ensure_ascii=False),
        "auricle.domains": json.dumps(domains, ensure_ascii=False),
        "auricle.preparation": json.dumps(card.preparation.keys()),
    }
