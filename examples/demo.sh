#!/usr/bin/env bash
# The whole way on a synthetic cohort: examples/demo.sh [FOLDER]. Replaces FOLDER/cohort and FOLDER/work.
# MINUTES=0.2 examples/demo.sh shortens the trainings.
set -euo pipefail

demo=${1:-demo}
minutes=${MINUTES:-1}
work=$demo/work
SECONDS=0

step() {
  printf '\n\033[1m$ %s\033[0m\n' "$*"
  "$@"
}

rm -rf "$demo/cohort" "$work"
step polytask phantom "$demo/cohort" --subjects 24 --size 32 --seed 0
step polytask check "$demo/cohort"
step polytask plan "$demo/cohort" -o "$work" --folds 3
step polytask prepare "$work"
step polytask train "$work" --sharing hard --name hard --minutes "$minutes"
step polytask train "$work" --sharing single --name single --match hard
step polytask evaluate "$work/runs/hard"
step polytask evaluate "$work/runs/single"
step polytask report "$work/runs/hard" --against "$work/runs/single"
printf '\nDemo done in %d s.\n' "$SECONDS"
