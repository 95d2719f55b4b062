#!/usr/bin/env bash
# Tumour mask, histology, T stage and survival from one CT: recipes/nsclc.sh SOURCE OUT [MINUTES]
set -euo pipefail
source=$1 out=$2 minutes=${3:-10}
here=$(dirname "$0")
python "$here/nsclc_folder.py" "$source" "$out/raw"
polytask import nnunet "$out/raw" -o "$out/cohort" --task stage=ordinal:T1,T2,T3,T4
polytask check "$out/cohort"
polytask plan "$out/cohort" -o "$out/work" --folds 5
polytask prepare "$out/work"
polytask train "$out/work" --name hard --minutes "$minutes"
polytask evaluate "$out/work/runs/hard"
polytask report "$out/work/runs/hard"
polytask export "$out/work/runs/hard" -o "$out/model"
polytask predict "$out/model" "$out/raw/imagesTr" -o "$out/predictions"
