"""A/B tests: who gets which variant, decided the same way every time and by nobody's memory."""

from spanledger.experiments.assignment import Variant, assigned
from spanledger.experiments.experiments import Experiment, Experiments, UnusableExperiment

__all__ = ["Experiment", "Experiments", "UnusableExperiment", "Variant", "assigned"]
