#!/bin/bash
# One dataset made by a job array. Each task makes every sixteenth shard; all of them write into one folder.
#   sbatch docs/examples/slurm.sh
# A task that was killed, failed or timed out: submit the same script again. What is finished is kept.
#SBATCH --job-name=wbench
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --output=wbench-%A-%a.log
#SBATCH --requeue
set -euo pipefail

RECIPE=${RECIPE:-snap-umi}
SIZE=${SIZE:-large}
OUT=${OUT:-$PWD/$RECIPE-$SIZE.zarr} # a folder that all nodes mount, or a URL: s3://bucket/name.zarr

# Shares are counted from 0, like this array. %a must run over all of them, so the count is the array's own.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    wbench generate "$RECIPE" --size "$SIZE" --out "$OUT" \
    --workers "$SLURM_CPUS_PER_TASK" --shards "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
