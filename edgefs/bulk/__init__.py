"""Many pictures: embedded once into Parquet files, then searched, enrolled and evaluated from there."""
