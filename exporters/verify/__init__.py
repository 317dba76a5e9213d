"""Compare every artifact with its source on real pictures: agreement, few-shot accuracy and latency."""
