"""FedAvg, and FedProx, which differs from it on the devices alone."""

from collections.abc import Sequence
from dataclasses import replace

from ..arrays import Arrays, weighted_mean
from ..local_training import LocalPlan, LocalResult
from .strategy import PlannedStrategy


def average(results: Sequence[LocalResult]) -> Arrays:
    """Return the mean of the devices' models, weighted by their numbers of facts."""
    return weighted_mean([one.arrays for one in results], [one.examples for one in results])


class FedAvg(PlannedStrategy):
    """Federated averaging (McMahan et al. 2017, "Communication-efficient learning of deep networks
    from decentralized data", algorithm 1)."""

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the weighted mean of the models."""
        del current
        return average(results)


class FedProx(FedAvg):
    """FedAvg with a proximal term in each device's loss, proximal / 2 times the squared distance
    from the fleet's model (Li et al. 2020, "Federated optimization in heterogeneous networks",
    algorithm 2)."""

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Return the plan with the proximal term."""
        return replace(super().plan(number, devices), proximal=self.settings.proximal)
