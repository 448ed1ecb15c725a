"""Evaluations of several models → tables, significance, examples, and pages of them.

`entries` reads evaluations, refuses what must not be compared, and groups seeds.
`pairs` compares two models at a time. `tables`, `chart` and `gallery` make the parts of
a page, which `report` puts in order, and `markdown` renders as Markdown.
"""
