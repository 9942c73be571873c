"""Published comparisons repeated on anybody's files: the ASTEROID tables, learning curves.

`foreign_labels` → `draws` → `stores` → tasks of `stage_plans` → `running` → `scoring` →
`results` → `publishing`; `asteroid.benchmark` and `curve` wire them, each on one page.
"""
