"""Statistics of answers and of runs, from plain arrays: pairs of survival times (`comparable_pairs`), metrics without
some of the items (`left_out`), what each subject contributes to a metric (`influence`,
`values`), subjects drawn (`counts`), a mean over them with interval and p (`studentize`, `pivot`, `mean`), a study's
effect (`variance`, `freedom`, `pairs`, `effect`, `carriers`, `too_few`), many comparisons (`holm`, `words`),
cross-checks (`delong`, `paired`, `swaps`), and the mean relative gain (`delta_m`). No torch."""
