#!/bin/bash
# Train on two nodes of four GPUs each; submit it again to go on where time ran out.
#
#     sbatch examples/train_on_slurm.sh training/reactions/reactions.yaml name=large
#
# The recipe's batch_size is that of all processes together, so that the result is the
# one of a single GPU; give batch_size=... to use what eight of them can do.
#SBATCH --job-name=physml
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00

set -euo pipefail
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-4}"

# srun starts the processes, and Lightning learns from Slurm which of them each one is.
srun --kill-on-bad-exit=1 physml train "$@" \
  --num-nodes "${SLURM_NNODES:-2}" \
  --devices "${SLURM_NTASKS_PER_NODE:-4}" \
  --accelerator gpu \
  --out runs/on-slurm \
  --resume last \
  --max-time 00:23:50:00
