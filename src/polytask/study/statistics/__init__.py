"""What a study may say: subjects drawn (`draws`), metrics of runs on them (`values`, `primary`), one interval and p per
effect (`spread`, `variance`, `freedom`, `uncertainty`, `effect`), many comparisons (`holm`, `words`), cross-checks
(`delong`, `paired`, `swaps`), and the mean relative gain (`delta_m`). No torch."""
