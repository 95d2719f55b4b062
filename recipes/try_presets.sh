#!/usr/bin/env bash
# Trains each preset for some minutes on one prepared cohort, then prints a table on standard output:
#   recipes/try_presets.sh WORK MINUTES PRESET...
# If the cohort does not fit a preset, the reason is printed and the preset skipped; evaluated runs are kept.
set -euo pipefail
work=$1 minutes=$2
shift 2
here=$(dirname "$0")
runs=()
for preset in "$@"; do
  run=$work/runs/$preset
  if [ ! -e "$run/evaluation.json" ]; then
    polytask train "$work" --preset "$preset" --name "$preset" --minutes "$minutes" >&2 || continue
    polytask evaluate "$run" >&2 || continue
  fi
  runs+=("$run")
done
[ ${#runs[@]} -gt 0 ] && python "$here/preset_table.py" "${runs[@]}"
