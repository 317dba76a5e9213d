"""Tables for the terminal and HTML pages, shared by every command."""
