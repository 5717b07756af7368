"""What the books should say of whole traces, computed from their canonical spans. Pure: no database."""
