#!/usr/bin/env bash
#SBATCH --job-name=forgefield
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --time=24:00:00
#
# sbatch deploy/slurm.sh runs/aspirin-250ccsd/plan.json
#
# Submit it from the repository's root, and again if the time was too short: the run goes on.
set -euo pipefail

plan=${1:?"usage: sbatch deploy/slurm.sh PLAN"}
bin="${FORGEFIELD_BIN:-$SLURM_SUBMIT_DIR/.venv/bin}"
nodes=$SLURM_JOB_NUM_NODES
head=$(hostname)
head_ip=$(hostname -I | cut -d ' ' -f 1)
port=$((20000 + SLURM_JOB_ID % 20000))

# Every node reads the token from this file; its path may be seen by others, its content not.
umask 077
RAY_AUTH_TOKEN_PATH=$(mktemp "$HOME/.forgefield-token.XXXXXXXX")
export RAY_AUTH_TOKEN_PATH RAY_AUTH_MODE=token RAY_ADDRESS="$head_ip:$port"
"$bin/python" -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH"

steps=()
finish() {
    for step in "${steps[@]}"; do kill "$step" 2>/dev/null || true; done
    rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap finish EXIT

start_ray() { # how many nodes, then srun's choice of node, then what `ray start` is told
    local count=$1 choice=$2
    shift 2
    srun --nodes="$count" --ntasks="$count" --cpus-per-task="$SLURM_CPUS_PER_TASK" "$choice" \
        "$bin/ray" start "$@" --block --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats &
    steps+=($!)
}

nodes_up() {
    timeout 30 "$bin/python" - <<'PYTHON' 2>/dev/null || echo 0
import ray

ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()))
PYTHON
}

wait_for() { # how many nodes
    until (($(nodes_up) >= $1)); do
        jobs -r | grep -q . || { echo "Ray didn't start; see its messages above." >&2; exit 1; }
        ((SECONDS < 600)) || { echo "Fewer than $1 nodes joined within 10 minutes." >&2; exit 1; }
        sleep 2
    done
}

start_ray 1 "--nodelist=$head" --head --node-ip-address="$head_ip" --port="$port" \
    --temp-dir="/tmp/ray-$SLURM_JOB_ID"
wait_for 1
if ((nodes > 1)); then
    start_ray $((nodes - 1)) "--exclude=$head" --address="$RAY_ADDRESS"
    wait_for "$nodes"
fi

"$bin/platform" run "$plan" --ray-address auto
