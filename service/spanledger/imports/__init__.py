"""History from elsewhere as OTLP spans, through the same door as everything else, and the same ones every time."""
