"""Training of a blueprint's parameters, by its recipe, from a fixed seed."""

import nas

from ..core import FactBatch, StateCorruptError
from ..core.adaptors import (
    SOLVED_KINDS,
    Spans,
    solve_arrays,
    standardise,
    standardising_arrays,
    transform_shapes,
)
from .optimisation import deterministic
from .recipes import RECIPES, TrainingRecipe, TrainingTask, recipe_applies
from .training_set import make_adaptor_training_set
from .training_steps import Floats


def train_adaptor(
    blueprint: nas.Blueprint, own: FactBatch, others: FactBatch, spans: Spans, seed: int
) -> dict[str, Floats]:
    """Train a blueprint on a domain's facts by its recipe; return all arrays of its transform.

    own: at least one fact; others: facts of other domains, of which at most 512 take part.  A
    temporary linear classifier on top provides the gradients (cross-entropy, AdamW).  Bit-equal on
    one machine for the same arguments.  Training stops before a step that is not finite, so that
    the arrays are always finite.  Raises StateCorruptError for a blueprint that does not fit the
    spans, or whose recipe does not train its kind.
    """
    transform_shapes(blueprint, spans)  # Raises for what does not exist.
    solved = blueprint.kind in SOLVED_KINDS
    if not (blueprint.recipe == nas.PLAIN if solved else recipe_applies(blueprint)):
        raise StateCorruptError(
            f"training an adaptor: recipe {blueprint.recipe!r} does not train {blueprint}",
            f"use another recipe of {', '.join(RECIPES)}",
        )
    if solved:
        return solve_arrays(blueprint, own, others, spans)
    return train_by(RECIPES[blueprint.recipe], blueprint, (own, others), spans, seed)


def train_by(
    recipe: TrainingRecipe,
    blueprint: nas.Blueprint,
    facts: tuple[FactBatch, FactBatch],
    spans: Spans,
    seed: int,
) -> dict[str, Floats]:
    """Train a blueprint as `train_adaptor` does, but by a recipe that it need not name.  facts: own
    facts, at least one, and those of other domains."""
    standard = standardise(*facts, spans)
    arrays = standardising_arrays(blueprint, standard, spans)
    shapes = transform_shapes(blueprint, spans)
    task = TrainingTask(
        blueprint=blueprint,
        shapes={name: shape for name, shape in shapes.items() if name not in arrays},
        sizes=tuple(spans[tap][1] - spans[tap][0] for tap in blueprint.taps),
        facts=make_adaptor_training_set(blueprint, *facts, standard, spans),
        seed=seed,
    )
    with deterministic():
        return arrays | recipe.train(task)
