"""Statistics of answers and of runs, from plain arrays: subjects drawn (`draws`), a metric on them (`values`), one
interval and p per effect (`spread`, `variance`, `freedom`, `uncertainty`, `effect`), many comparisons (`holm`,
`words`), cross-checks (`delong`, `paired`, `swaps`), and the mean relative gain (`delta_m`). No torch."""
