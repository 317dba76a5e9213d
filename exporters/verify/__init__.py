"""How an artefact is checked before it enters a bundle: agreement, few-shot accuracy and latency."""
