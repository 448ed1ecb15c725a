"""Evaluations of several models → tables, significance, examples, and pages of them.

`entries` reads runs, refuses what must not be compared, and puts seeds together;
`groups` says in plain values all that is shown; `tables`, `chart` and `gallery` make
blocks of a page of it, which `report` puts together as HTML and `markdown` as Markdown.
"""
