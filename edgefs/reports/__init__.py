"""Reports for people: tables, plots, pages, progress, and the API reference."""
