"""What conversations were about, and what they came to: a live pass over messages, sealing over conversations."""

from spanledger.analysis.live_pass import LivePass
from spanledger.analysis.sealer import Sealer

__all__ = ["LivePass", "Sealer"]
