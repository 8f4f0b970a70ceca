from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import encoder
from edge import Config, ForgetRequest, Runtime, Selector, Store
from edge.core.adaptors.record import AdaptorRecord
from edge.core.events import Enrol, StoreAdaptor, StoreFacts
from edge.core.facts import Fact
from edge.core.jobs import GrowthJob
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.sim import checkers
from edge.sim.checkers import BrokenPromiseError
from tests.growers import record_of

WIDTH = 24


@pytest.fixture
def model() -> encoder.Model:
    """An encoder of ready-made vectors."""
    rows = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    quantiser = encoder.freeze_quantiser(rows, (slice(0, WIDTH),))
    return encoder.open_model(encoder.vector_card(WIDTH, quantiser=quantiser))


def facts(count: int = 12) -> tuple[Fact, ...]:
    """Facts of two classes with features that do not repeat."""
    random = np.random.default_rng(1)
    return tuple(
        Fact(
            id=f"fact-{i:04}",
            stream="s",
            domain="a",
            label="xy"[i % 2],
            captured_at_ns=i,
            features=random.bytes(WIDTH),
        )
        for i in range(count)
    )


@pytest.fixture
def device(model: encoder.Model, tmp_path: Path):
    """A runtime and its store, with facts in them."""
    with Store.create(tmp_path / "k.db", model.card) as store:
        runtime = Runtime(Config(), model, store)
        for effect in runtime.handle(Enrol(facts())):
            store.apply(effect)
        yield runtime, store


def test_all_is_well_with_a_device_that_keeps_its_promises(device, model) -> None:
    """No checker complains of a device that did as it should."""
    runtime, store = device
    checkers.check_knowledge(runtime, store, model.card.fingerprint)
    checkers.check_ledger(store, MemoryLedger(facts()))
    checkers.check_acknowledged({fact.id: fact.label for fact in facts()}, store)
    checkers.check_bounds(runtime, store)
    for effect in runtime.handle(ForgetRequest(request_id="r", selector=Selector(label="x"))):
        store.apply(effect)
    kept = [fact.features for fact in facts() if fact.label == "y"]
    erased = {fact.id: fact.features for fact in facts() if fact.label == "x"}
    checkers.check_forgotten(erased, store, kept)
    checkers.check_knowledge(runtime, store, model.card.fingerprint)


def test_knowledge_that_left_its_ledger_is_found(device, model) -> None:
    """A fact behind the runtime's back breaks the first promise."""
    runtime, store = device
    store.apply(
        StoreFacts(
            facts=(
                Fact(
                    id="other",
                    stream="s",
                    domain="a",
                    label="x",
                    captured_at_ns=99,
                    features=bytes(WIDTH),
                ),
            )
        )
    )
    with pytest.raises(BrokenPromiseError, match="differs from a derivation"):
        checkers.check_knowledge(runtime, store, model.card.fingerprint)


def test_a_store_that_holds_something_else_is_found(device, model) -> None:
    """A ledger with one fact less than confirmed is found, and so is a full concept."""
    _, store = device
    with pytest.raises(BrokenPromiseError, match="confirmed"):
        checkers.check_ledger(store, MemoryLedger(facts(11)))
    small = Runtime(Config(facts_per_concept=2), model, store)
    with pytest.raises(BrokenPromiseError, match="capacity"):
        checkers.check_bounds(small, store)


def test_lost_and_changed_labels_are_found(device) -> None:
    """An acknowledged label must be there, and must be the one acknowledged."""
    _, store = device
    with pytest.raises(BrokenPromiseError, match="lost"):
        checkers.check_acknowledged({"nowhere": "x"}, store)
    with pytest.raises(BrokenPromiseError, match="differs from the acknowledged"):
        checkers.check_acknowledged({"fact-0000": "y"}, store)


def test_an_incomplete_forget_is_found(device) -> None:
    """A receipted id in the ledger is found, and so are its features in the file alone."""
    runtime, store = device
    first = facts()[0]
    with pytest.raises(BrokenPromiseError, match="is in the ledger"):
        checkers.check_forgotten({first.id: first.features}, store, [])
    for effect in runtime.handle(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({first.id})))
    ):
        store.apply(effect)
    checkers.check_forgotten({first.id: first.features}, store, [])
    copy = Fact(
        id="copy-0000", stream="s", domain="a", label="x", captured_at_ns=1, features=first.features
    )
    store.apply(StoreFacts(facts=(copy,)))
    with pytest.raises(BrokenPromiseError, match="features of forgotten"):
        checkers.check_forgotten({first.id: first.features}, store, [])
    checkers.check_forgotten({first.id: first.features}, store, [copy.features])


def grown(runtime: Runtime, store: Store) -> AdaptorRecord:
    """An adaptor of random features, installed behind the runtime's back."""
    own, others = runtime.knowledge.training_facts("a")
    budget = runtime.config.budget
    job = GrowthJob(
        id="a:1",
        domain="a",
        version=1,
        seed=1,
        budget=budget,
        spans=((0, WIDTH),),
        own=own,
        others=others,
    )
    record = record_of(job)
    store.apply(StoreAdaptor(record))
    runtime.knowledge.refit("a")
    return record


def test_adaptors_that_know_the_forgotten_are_found(device) -> None:
    """A version that was grown from an erased fact is found, one that was not is left alone."""
    runtime, store = device
    grown(runtime, store)
    checkers.check_adaptors(store, {"elsewhere"})
    with pytest.raises(BrokenPromiseError, match="was trained on forgotten"):
        checkers.check_adaptors(store, {"fact-0003"})


def test_adaptors_beyond_their_budget_are_found(device, model) -> None:
    """Bytes and operations are held against the budget, head included."""
    runtime, store = device
    record = grown(runtime, store)
    checkers.check_budget(runtime, record)
    for config in (Config(adaptor_bytes=8), Config(adaptor_operations=8)):
        tight = Runtime(config, model, store)
        with pytest.raises(BrokenPromiseError, match="too many"):
            checkers.check_budget(tight, record)


def test_unconfirmed_adaptors_are_found(device) -> None:
    """A version in the store that was never confirmed is found."""
    runtime, store = device
    grown(runtime, store)
    with pytest.raises(BrokenPromiseError, match="other adaptors"):
        checkers.check_ledger(store, MemoryLedger(facts()))
