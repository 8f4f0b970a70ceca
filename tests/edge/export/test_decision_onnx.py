"""An exported ONNX file answers as the runtime does: labels and novelty equal, scores to 1e-5."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

import encoder
import hdc
from edge.core import (
    Config,
    Decision,
    Enrol,
    Fact,
    FitGeometry,
    Knowledge,
    MemoryLedger,
    Observation,
    Publish,
    Runtime,
    StoreAdaptor,
)
from edge.core.adaptors.head import FittedHead
from edge.core.adaptors.kinds import KINDS
from edge.core.errors import EdgeError
from edge.export import DecisionRequest, export_decision
from encoder.testing import tiny_card, tiny_payloads
from tests.contracts.test_adaptors import record
from tests.edge.core.adaptors.test_retrieval import spots
from tests.homes import learned_home, new_home, run
from tests.worlds import clouds, whole_number_model

TOLERANCE = 1e-5
"""Largest difference of a score: rounding of float32 in another order.  Measured: 1.4e-6."""
PHOTOS_A_CLASS = 12


class Learned:
    """A runtime that has learned facts, its ONNX file, and both their answers."""

    def __init__(self, model: encoder.Model, facts: Sequence[Fact]) -> None:
        self.model, self.ledger = model, MemoryLedger(exchangeable=True)
        self.runtime = Runtime(Config(), model, self.ledger)
        self.feed(Enrol(tuple(facts)))
        self.feed(FitGeometry())
        self.streams = 0

    @property
    def known(self) -> Knowledge:
        """What follows from the facts."""
        return self.runtime.knowledge

    def feed(self, event: Any) -> list[Any]:
        """Handle an event and return the messages."""
        found = []
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, Publish):
                found.append(effect.message)
        return found

    def decide(self, payload: object) -> Decision:
        """Decide on the only sample of a new stream."""
        self.streams += 1
        event = Observation(
            stream=f"stream-{self.streams}", sequence=1, captured_at_ns=1, payload=payload
        )
        (found,) = [one for one in self.feed(event) if isinstance(one, Decision)]
        return found


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """Check a file and load it as any serving stack would."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answers(session: onnxruntime.InferenceSession, batch: NDArray[Any]) -> dict[str, Any]:
    """Run a batch and return the outputs by name."""
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: batch}), strict=True))


def require_equal(
    learned: Learned, path: Path, payloads: Iterable[object], batch: NDArray[Any]
) -> int:
    """Compare every answer of a file with the runtime's; return how many samples were novel."""
    session, novel, known = session_of(path), 0, learned.known
    labels = json.loads(session.get_modelmeta().custom_metadata_map["auricle.labels"])
    found = answers(session, batch)
    for row, payload in enumerate(payloads):
        decision = learned.decide(payload)
        assert decision.guess == found["label"][row]
        assert decision.domain == found["domain"][row]
        assert decision.score == found["novelty"][row]
        enough = hdc.find_shortfall(decision.domain, known.calibration(), 0.01) is None
        assert (enough and decision.p_value <= 0.01) == (
            found["novelty"][row] > found["threshold"][row]
        )
        if decision.known is False:
            novel += 1
            continue
        adaptor = known.adaptor(decision.domain)
        own = adaptor.answer(learned.model.encode(payload).values)
        scores = found["scores"][row][[labels.index(label) for label in adaptor.labels]]
        assert np.abs(own - scores).max() <= TOLERANCE
    return novel


def vector_facts(domain: str, centres: range, count: int, width: int = 8) -> list[Fact]:
    """Facts of a domain, one label for each centre."""
    rows = clouds(centres, count, seed=centres[0], width=width)
    return [
        Fact(
            id=f"{domain}-{row}",
            stream="s",
            domain=domain,
            label="abcdefghijklm"[row // count],
            captured_at_ns=row,
            features=values.tobytes(),
        )
        for row, values in enumerate(rows)
    ]


def exported(learned: Learned, folder: Path, **request: Any) -> Path:
    """Export to a file."""
    path = folder / "decision.onnx"
    card = learned.model.card
    export_decision(path, card, learned.known, DecisionRequest(**request))
    return path


@pytest.mark.parametrize("domains", [1, 2, 5])
def test_vectors_are_answered_as_by_the_runtime(domains: int, tmp_path: Path) -> None:
    """One domain, and several with routing and mixtures: every answer is the runtime's, for known
    samples, samples between classes and noise."""
    facts = [
        one
        for number in range(domains)
        for one in vector_facts(f"hall-{number}", range(10 * number, 10 * number + 3), 110)
    ]
    learned = Learned(whole_number_model(), facts)
    near = [
        row
        for number in range(domains)
        for row in clouds(range(10 * number, 10 * number + 3), 8, 25, seed=7)
    ]
    noise = list(np.random.default_rng(3).integers(0, 256, (40, 8), np.uint8))
    payloads = [row.astype(np.float32) for row in (*near, *noise)]
    path = exported(learned, tmp_path)
    assert require_equal(learned, path, payloads, np.array(payloads)) > 5


def test_unsure_answers_are_revised_as_by_the_runtime(tmp_path: Path) -> None:
    """Where the nearest facts revise a head, they do so in the file."""
    rows, fresh = spots(900, 1), spots(60, 7).features
    facts = [
        Fact(
            id=key,
            stream="s",
            domain="home",
            label=label,
            captured_at_ns=at,
            features=row.tobytes(),
        )
        for at, (key, label, row) in enumerate(
            zip(rows.ids, rows.labels, rows.features, strict=True)
        )
    ]
    learned = Learned(whole_number_model(rows.features.shape[1]), facts)
    served = learned.known.adaptor("home")
    assert isinstance(served, FittedHead)
    assert served.evidence is not None
    payloads = [row.astype(np.float32) for row in fresh]
    require_equal(learned, exported(learned, tmp_path), payloads, np.array(payloads))


def test_a_domain_with_many_labels(tmp_path: Path) -> None:
    """With more labels than exemplars are compared for, the shortlist is the runtime's."""
    learned = Learned(whole_number_model(), vector_facts("hall", range(13), 40))
    payloads = [row.astype(np.float32) for row in clouds(range(13), 6, 60, seed=2)]
    path = exported(learned, tmp_path)
    require_equal(learned, path, payloads, np.array(payloads))


@pytest.mark.parametrize("kind", ["image", "window", "vector"])
def test_an_encoder_and_its_preparation_are_included(kind: Any, tmp_path: Path) -> None:
    """Pixels, windows and vectors are inputs as measured: normalising, layout, taps and quantiser
    are in the file, for a batch as for one."""
    with encoder.open_model(tiny_card(tmp_path, 0, kind)) as model:
        payloads = tiny_payloads(260, 1, kind)
        facts = [
            Fact(
                id=f"f{row}",
                stream="s",
                domain="hall",
                label="ab"[row % 2],
                captured_at_ns=row,
                features=model.encode(payload).values.tobytes(),
            )
            for row, payload in enumerate(payloads[:220])
        ]
        learned = Learned(model, facts)
        path = exported(learned, tmp_path)
        batch = np.array(payloads[220:])
        require_equal(learned, path, payloads[220:], batch)
        session = session_of(path)
        single = answers(session, batch[:1])
        assert (single["novelty"] == answers(session, batch)["novelty"][:1]).all()


def photos(folder: Path) -> tuple[list[tuple[str, str, bytes]], list[bytes]]:
    """Real photographs and cartoons of seven classes to learn, and others, with sketches, to ask
    about."""
    with np.load(folder / "pacs_webp65.npz", allow_pickle=False) as held:
        blob, offsets = held["blob"], held["offsets"]
        label, domain = held["label"], held["domain"]
        classes, domains = held["classes"].tolist(), held["domains"].tolist()
    random, given, asked = np.random.default_rng(0), [], []
    for number, name in enumerate(domains):
        for place, of in enumerate(classes):
            rows = random.permutation(np.flatnonzero((label == place) & (domain == number)))
            files = [blob[offsets[row] : offsets[row + 1]].tobytes() for row in rows[:20]]
            if name in ("photo", "cartoon"):
                given += [(name, of, file) for file in files[:PHOTOS_A_CLASS]]
                asked += files[PHOTOS_A_CLASS : PHOTOS_A_CLASS + 3]
            else:
                asked += files[:1]
    return given, asked


def test_real_photographs_are_answered_as_by_the_runtime(data_folder: Path, tmp_path: Path) -> None:
    """With the shipped encoder every label, domain and novelty of real pictures is the runtime's;
    a pixel image is all that goes in."""
    given, asked = photos(data_folder)
    with encoder.open_model("efficientnet_lite0") as model:
        facts = [
            Fact(
                id=f"f{row}",
                stream="s",
                domain=domain,
                label=label,
                captured_at_ns=row,
                features=model.encode(file).values.tobytes(),
            )
            for row, (domain, label, file) in enumerate(given)
        ]
        learned = Learned(model, facts)
        path = exported(learned, tmp_path)
        pixels = [encoder.prepare_pixels(file, model.card) for file in asked]
        require_equal(learned, path, asked, np.array(pixels))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_adaptor_is_exported(kind: str, tmp_path: Path) -> None:
    """A grown adaptor of each kind gives the runtime's scores."""
    made = record(kind)
    columns, spans = 16, ((0, 8), (8, 12), (12, 16))
    taps = {f"tap{place}": stop - start for place, (start, stop) in enumerate(spans)}
    whole = whole_number_model(columns)
    card = encoder.vector_card(columns, quantiser=whole.card.quantiser, taps=taps)
    rows = clouds(range(3), 12, seed=1, width=columns)
    facts = [
        Fact(
            id=f"home{row}",
            stream="s",
            domain="home",
            label="abc"[row // 12],
            captured_at_ns=row,
            features=values.tobytes(),
        )
        for row, values in enumerate(rows)
    ]
    learned = Learned(encoder.open_model(card), facts)
    learned.ledger.apply(StoreAdaptor(made))
    learned = reopened(learned)
    payloads = [row.astype(np.float32) for row in clouds(range(3), 20, 40, seed=5, width=columns)]
    found = answers(session_of(exported(learned, tmp_path)), np.array(payloads))
    adaptor = learned.known.adaptor("home")
    # One at a time, as the runtime asks.
    own = np.array([adaptor.answer(row.astype(np.uint8)) for row in payloads])
    assert np.abs(own - found["scores"]).max() <= (2e-4 if not hdc.is_native() else TOLERANCE)
    assert [adaptor.labels[at] for at in own.argmax(axis=1)] == found["label"].tolist()


def reopened(learned: Learned) -> Learned:
    """The same ledger under a new runtime."""
    learned.runtime = Runtime(Config(), learned.model, learned.ledger)
    return learned


def test_one_domain_answers_if_it_is_chosen(tmp_path: Path) -> None:
    """With `domain` its adaptor answers every sample, without routing; the novelty is still that of
    the nearest domain; without novelty both outputs are left out."""
    facts = [*vector_facts("hall", range(3), 110), *vector_facts("yard", range(20, 22), 110)]
    learned = Learned(whole_number_model(), facts)
    rows = np.array(clouds(range(3), 5, seed=1))
    path = exported(learned, tmp_path, domain="yard", novelty=False)
    found = answers(session_of(path), rows.astype(np.float32))
    assert set(found) == {"label", "scores", "domain"}
    assert set(found["domain"]) == {"yard"}
    assert set(found["label"]) <= set(learned.known.adaptor("yard").labels)


def test_metadata_names_card_knowledge_and_labels(tmp_path: Path) -> None:
    """A file names its encoder, its knowledge and its labels."""
    learned = Learned(whole_number_model(), vector_facts("hall", range(3), 30))
    path = exported(learned, tmp_path)
    found = session_of(path).get_modelmeta().custom_metadata_map
    card = learned.model.card
    assert found["auricle.card"] == card.fingerprint
    assert found["auricle.digest"] == learned.runtime.digest()
    assert json.loads(found["auricle.labels"]) == ["a", "b", "c"]
    assert json.loads(found["auricle.domains"]) == ["hall"]


def test_unsupported_knowledge_is_refused(tmp_path: Path) -> None:
    """Nothing learned, an unknown domain, too many concepts, a card without a quantiser: each is an
    error with its cure, and no file is left."""
    with pytest.raises(EdgeError, match="nothing has been learned"):
        exported(Learned(whole_number_model(), []), tmp_path)
    learned = Learned(whole_number_model(), vector_facts("hall", range(3), 30))
    with pytest.raises(EdgeError, match="no domain 'yard'"):
        exported(learned, tmp_path, domain="yard")
    many = [one for n in range(4) for one in vector_facts(f"d{n}", range(10 * n, 10 * n + 9), 4)]
    crowded = Learned(whole_number_model(), many)
    with pytest.raises(EdgeError, match="the novelty of 36 concepts") as error:
        exported(crowded, tmp_path)
    assert "--without-novelty" in error.value.hint
    bare = replace(learned.model.card, quantiser=None)
    with pytest.raises(EdgeError, match="no quantiser"):
        export_decision(tmp_path / "x.onnx", bare, learned.known, DecisionRequest())
    assert not list(tmp_path.glob("*.onnx"))
    path = exported(crowded, tmp_path, novelty=False)
    assert "novelty" not in answers(session_of(path), np.zeros((1, 8), np.float32))


def test_the_command_line_writes_it(tmp_path: Path) -> None:
    """`auricle export onnx` writes a file that answers; `auricle export FILE` still writes the
    facts; a home without facts is refused in two lines."""
    home = learned_home(tmp_path / "home")
    target = tmp_path / "hall.onnx"
    result = run("export", "onnx", target, "--home", home, "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["labels"] == ["a", "b"]
    assert made["file_bytes"] == target.stat().st_size
    assert set(answers(session_of(target), np.zeros((2, 8), np.float32))["label"]) <= {"a", "b"}
    plain = run("export", "onnx", target, "--home", home, "--without-novelty")
    assert "label, scores, domain\n" in plain.output
    facts = run("export", tmp_path / "facts.npz", "--home", home)
    assert facts.exit_code == 0, facts.output
    assert "24 facts" in facts.output
    empty = run("export", "onnx", target, "--home", new_home(tmp_path / "empty"))
    assert empty.exit_code == 1
    assert "nothing has been learned" in empty.output


MLFLOW = """
import json, sys
import mlflow, numpy, onnx

path, folder = sys.argv[1:]
mlflow.set_tracking_uri("file:" + folder + "/mlruns")
rows = numpy.array(json.load(sys.stdin), "float32")
with mlflow.start_run():
    # Named, so that MLflow does not start the model once more to find them.
    needs = ["onnx", "onnxruntime"]
    info = mlflow.onnx.log_model(onnx.load(path), name="decision", pip_requirements=needs)
found = mlflow.pyfunc.load_model(info.model_uri).predict(rows)
print(json.dumps({name: numpy.asarray(value).tolist() for name, value in found.items()}))
"""


@pytest.mark.skipif(
    "AURICLE_MLFLOW" not in os.environ,
    reason="needs AURICLE_MLFLOW, a Python with mlflow-skinny, onnx, onnxruntime and pandas",
)
def test_mlflow_logs_and_serves_it(tmp_path: Path) -> None:
    """MLflow logs the file as a model, loads it as a pyfunc and gives the runtime's answers."""
    facts = [*vector_facts("hall", range(3), 110), *vector_facts("yard", range(20, 23), 110)]
    learned = Learned(whole_number_model(), facts)
    payloads = [row.astype(np.float32) for row in clouds(range(3), 6, 40, seed=4)]
    path = exported(learned, tmp_path)
    result = subprocess.run(
        [os.environ["AURICLE_MLFLOW"], "-c", MLFLOW, path, tmp_path],
        # The skinny package has no database; its store of files has to be allowed.
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"},
        input=json.dumps(np.array(payloads).tolist()),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    found = json.loads(result.stdout.splitlines()[-1])
    decided = [learned.decide(payload) for payload in payloads]
    assert found["label"] == [one.guess for one in decided]
    assert found["novelty"] == [int(one.score) for one in decided]
    own = answers(session_of(path), np.array(payloads))["scores"]
    assert np.abs(np.array(found["scores"]) - own).max() <= TOLERANCE
