"""What answers are worth: rules and models judge them, on demand or by sample, and say so as evaluation events."""

from spanledger.evaluations.automatic import Automatic
from spanledger.evaluations.evaluators import Evaluator, Evaluators
from spanledger.evaluations.recent import Recent

__all__ = ["Automatic", "Evaluator", "Evaluators", "Recent"]
