"""Plain tables for the terminal."""

from edgefs.reports.tables import table


def test_a_table_has_numbers_to_the_right():
    assert table([("mug", 3), ("cupboard", 12)], ("name", "shots")) == (
        "name      shots\n--------  -----\nmug           3\ncupboard     12"
    )
    assert table([], ("name",)) == "name\n----"
