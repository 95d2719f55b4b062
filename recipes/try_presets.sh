#!/usr/bin/env bash
# Trains each preset for some minutes, or some steps, on one prepared cohort, then prints a table on standard output:
#   recipes/try_presets.sh WORK MINUTES PRESET...
#   recipes/try_presets.sh WORK 200steps PRESET...
# If the cohort does not fit a preset, the reason is printed and the preset skipped; evaluated runs are kept.
set -euo pipefail
work=$1 length=$2
shift 2
here=$(dirname "$0")
case $length in
  *steps) length=(--steps "${length%steps}") ;;
  *) length=(--minutes "$length") ;;
esac
runs=()
for preset in "$@"; do
  run=$work/runs/$preset
  if [ ! -e "$run/evaluation.json" ]; then
    polytask train "$work" --preset "$preset" --name "$preset" "${length[@]}" >&2 || continue
    polytask evaluate "$run" >&2 || continue
  fi
  runs+=("$run")
done
[ ${#runs[@]} -gt 0 ] && python "$here/preset_table.py" "${runs[@]}"
