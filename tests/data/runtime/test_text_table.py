from videolm.data.runtime.text_table import text_table

ROWS = [("a", "1.5", "[b]"), ("a long name", "", "22")]


def test_the_first_columns_are_flush_left_and_the_others_flush_right() -> None:
    assert text_table(ROWS, ("", "x", "title")) == [
        "               x  title",
        "a            1.5    [b]",
        "a long name          22",
    ]
    assert text_table(ROWS, left=3) == ["a            1.5  [b]", "a long name       22"]


def test_tables_of_least_widths_and_indents_stand_below_each_other() -> None:
    one, other = (text_table([row], widths=(12,), indent=2)[0] for row in (("a", "1"), ("longer", "2")))
    assert one == "  a             1"
    assert one.index("1") == other.index("2")


def test_a_line_is_never_cut_wrapped_or_coloured(monkeypatch) -> None:
    for name, value in {"COLUMNS": "20", "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    words = "word " * 100 + "https://host/path 3.14 True"
    assert text_table([("a", words)], left=2) == [f"a  {words}"]


def test_markup_and_emoji_codes_are_text() -> None:
    assert text_table([("[bold]takes[/bold]", ":smile:")], left=2) == ["[bold]takes[/bold]  :smile:"]


def test_a_table_without_rows_is_its_names() -> None:
    assert text_table([], ("a", "b")) == ["a  b"]
