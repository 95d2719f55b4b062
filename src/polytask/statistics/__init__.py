"""Statistics of answers and of runs, computed from plain arrays, without torch.

Pairs of survival times (`comparable_pairs`), metrics without some of the items (`leave_group_out`), what each subject
contributes to a metric (`influence`, `metric_values`), resampled subjects (`resample_counts`), a mean over subjects
with interval and p (`studentize`, `pivot`, `mean_interval`), the effect in a study (`variance`, `freedom`,
`pair_variance`, `effect`, `carriers`, `too_few`), many comparisons (`holm`, `verdict_words`), cross-checks (`delong`,
`paired_checks`, `swap_check`), and the mean relative gain (`delta_m`).
"""
