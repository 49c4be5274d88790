"""Reading rows: what is accepted, and every way a file can be wrong."""

from __future__ import annotations

import json

import pytest

from engine.tasks.table import MAX_BYTES, Row, RowProblem, read_table, table_of

HEADER = "clean,corrupted,answer,distractor\n"
GOOD = {"clean": "a b", "corrupted": "a c", "answer": "x", "distractor": "y"}


def where(problems: tuple[RowProblem, ...]) -> list[tuple[int, str]]:
    return [(problem.row, problem.column) for problem in problems]


def test_csv_keeps_commas_quotes_and_line_breaks_inside_quotes():
    table = read_table(b'\xef\xbb\xbfClean,corrupted,answer,distractors\r\n"a, ""b""\nc",d,e,f|g\r\n\r\n')
    assert table.problems == ()
    assert table.rows == (Row(1, 'a, "b"\nc', "d", "e", "f|g"),)


def test_columns_may_stand_in_any_order_with_more_beside():
    table = read_table(b"note,answer,template,clean,distractor,corrupted\nn,x,t,a,y,b\n")
    assert table.rows == (Row(1, "a", "b", "x", "y", template="t"),)


def test_jsonl_is_told_by_its_first_brace():
    text = "\n".join([json.dumps(GOOD), "", json.dumps({**GOOD, "answer": "é\u2028"}, ensure_ascii=False)])
    table = read_table(text.encode())
    assert [row.answer for row in table.rows] == ["x", "é\u2028"]


def test_dictionaries_give_the_same_rows():
    assert table_of([GOOD]) == read_table((HEADER + "a b,a c,x,y").encode())


def test_wrong_encoding_names_the_byte_and_the_repair():
    (problem,) = read_table((HEADER + "caf\xe9,b,c,d").encode("latin-1")).problems
    assert "not UTF-8 text (byte 37 is 0xe9)" in problem.reason
    assert "UTF-8" in problem.repair
    assert "0xff" in read_table((HEADER + "a,b,c,d").encode("utf-16-le").join([b"\xff\xfe", b""])).problems[0].reason


def test_oversized_files_are_not_read():
    (problem,) = read_table(b"x" * (MAX_BYTES + 1)).problems
    assert "2,000,001 bytes; at most 2,000,000" in problem.reason
    (problem,) = read_table((HEADER + "a,b,c,d\n" * 2001).encode()).problems
    assert "2001 rows; at most 2000" in problem.reason
    assert len(read_table((HEADER + "a,b,c,d\n" * 2000).encode()).rows) == 2000


@pytest.mark.parametrize("data", [b"", b"  \n", HEADER.encode()])
def test_no_rows(data):
    (problem,) = read_table(data).problems
    assert problem.reason == "There are no rows."


def test_missing_and_doubled_columns_are_all_named():
    assert where(read_table(b"clean,clean,answer\na,b,c").problems) == [
        (0, "corrupted"),
        (0, "distractor"),
        (0, "clean"),
    ]


def test_uneven_csv_rows_are_refused_and_the_others_kept():
    table = read_table((HEADER + "a,b,c,d\na,b\na,b,c,d,e\n").encode())
    assert [row.number for row in table.rows] == [1]
    assert where(table.problems) == [(2, ""), (3, "")]
    assert "2 cells; the header has 4" in table.problems[0].reason


def test_an_open_quote_is_not_valid_csv():
    assert "not valid CSV" in read_table((HEADER + 'a,"b,c,d\n').encode()).problems[0].reason


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"clean": ', "", "not valid JSON"),
        ("[1]", "", "not an object but list"),
        (json.dumps({**GOOD, "answer": 3}), "answer", "is int, not text"),
        (json.dumps({**GOOD, "clean": None}), "clean", "is missing"),
        ("[" * 100_000, "", "not valid JSON"),
    ],
)
def test_bad_json_lines_are_refused_and_the_others_kept(line, column, reason):
    table = read_table("\n".join([json.dumps(GOOD), line, json.dumps(GOOD)]).encode())
    assert [row.number for row in table.rows] == [1, 3]
    assert where(table.problems) == [(2, column)]
    assert reason in table.problems[0].reason


def test_what_could_not_be_read_is_kept_as_far_as_it_goes():
    table = read_table(b'clean,corrupted,answer,distractor\na,b,c\n"d",e,f,g\nh,i,j,k,l\n')
    assert [row.number for row in table.rows] == [2]
    cells = [(row.number, row.clean, row.distractor) for row in table.everything]
    assert cells == [(1, "a", ""), (2, "d", "g"), (3, "h", "k")]
    table = read_table(b'{"clean": "a", "answer": 3}\nnot json\n[1]\n')
    assert [(row.clean, row.answer) for row in table.everything] == [("a", "3"), ("not json", ""), ("[1]", "")]


def test_of_too_many_rows_none_is_kept():
    assert read_table(b"{\n" * 2001).everything == ()
    assert read_table(b"clean,corrupted,answer,distractor\n" + b"x\n" * 2001).everything == ()
