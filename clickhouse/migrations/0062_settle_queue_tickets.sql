-- settle_queue.pending: the sum of tickets, a random number for each arrival, less those of settlement: no longer spans.
-- A count could come to zero by chance where two settlers had settled the same spans and just as many came after them;
-- tickets do not, so whatever nobody looked at after it came stays in the queue (docs/decisions/0003-queue-as-a-ledger.md).
ALTER TABLE settle_queue MODIFY COLUMN pending Int64 DEFAULT toInt64(1 + bitShiftRight(rand64(), 24))
