"""What a sweep found: read from the files of its jobs, at any time, without torch.

`read` takes up the jobs (`differing` of runs that nobody planned together), `figures` makes groups, effects and
comparisons of them with `statistics`, `show` prints them (`terminal`) and writes them (`table` as CSV, `page` as HTML),
for both in the same `words`. A page is made of tables (`markup`), pictures (`panels` and `curves` say what they show,
`pictures` and `svg` how) and a `style`.
"""
