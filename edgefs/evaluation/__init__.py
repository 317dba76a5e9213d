"""Measuring few-shot accuracy and the rejection of unknown classes."""
