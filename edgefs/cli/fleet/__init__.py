"""Commands for many devices and many pictures."""
