#!/usr/bin/env bash
# The whole way on a synthetic cohort: examples/demo.sh [FOLDER]. Replaces FOLDER/cohort and FOLDER/work.
# MINUTES=0.1 examples/demo.sh shortens the trainings.
set -euo pipefail

demo=${1:-demo}
minutes=${MINUTES:-0.25}
work=$demo/work
SECONDS=0

step() {
  printf '\n\033[1m$ %s\033[0m\n' "$*"
  "$@"
}

rm -rf "$demo/cohort" "$work"
step polytask phantom "$demo/cohort" --subjects 36 --size 24 --seed 0 --tasks lesion,pattern,diameter
step polytask check "$demo/cohort"
step polytask plan "$demo/cohort" -o "$work" --folds 3
step polytask prepare "$work"
step polytask study "$work" --sharing hard --folds 3 --seeds 2 --minutes-per-run "$minutes" -o "$work/studies/demo"
step polytask trust "$work"/runs/demo.hard-fold*
step polytask report "$work/runs/demo.hard-fold0-seed0" --against "$work/runs/demo.single-fold0-seed0"
step polytask study "$work/studies/demo"
printf '\nDemo done in %d s.\n' "$SECONDS"
